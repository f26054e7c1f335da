/* The laws of images in single precision: pixels are exact, a residual is divided once, and the inverse Haar transform adds up four
 * times. Of the largest: an error that the transform spreads. */
#define RELATIVE 5e-7
#define ABSOLUTE 2e-7
#include "image_laws_common.h"
