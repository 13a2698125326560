// quote_show - every field of a quote, decoded for people or as JSON. Shows, proves nothing.
#pragma once
#include <stdio.h>

#include "core/attest/quote.h"

void quote_show(const struct quote *q, bool json, FILE *out);
