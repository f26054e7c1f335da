/* The laws of images in double precision. The least variance, e^-12, is written down to nine digits. */
#define RELATIVE 1e-10
#define ABSOLUTE 1e-14
#include "image_laws_common.h"
