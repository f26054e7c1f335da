/* main.c: the program. */
#include "isolario.h"

int main(void) { return ISO_EUSAGE; }
