// version - what this build calls itself, in --version and in Version answers.
#pragma once

extern const char version_text[]; // "0.1.0"
extern const char version_rev[];  // "git:<20 hex>", or "unknown"
