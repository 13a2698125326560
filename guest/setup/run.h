// run - a helper program of the image, without a shell, its output kept for the error.
#pragma once
#include "base/err.h"

// Exit status of the program (0-255), or -1 when it could not be run or ended by a signal. The last line that
// it wrote is in `said`.
enum { RUN_SAID = 200 };
int run(const char *const argv[], char said[static RUN_SAID], struct err *e);
