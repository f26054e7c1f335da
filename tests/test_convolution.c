/* Convolutions in single precision: kernel/convolution.c, kernel/winograd.c. */
#define TOLERANCE 2e-6
#include "convolution_common.h"
