/* Convolutions in double precision: kernel/convolution.c, kernel/winograd.c. */
#define TOLERANCE 1e-13
#include "convolution_common.h"
