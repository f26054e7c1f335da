/* Convolutions in single precision: kernel/convolution.c, kernel/winograd.c. Plain C adds 9,216 numbers one after another. */
#define TOLERANCE 1e-5
#include "convolution_common.h"
