#include "ctrl.h"

bool ctrl_form(uint32_t command, struct ctrl_form *out)
{
	static const struct {
		uint32_t command;
		struct ctrl_form form;
	} known[] = {
		{ 1, { 0, 8 } },               // GET_CAPABILITY
		{ CTRL_INIT, { 4, 4 } },       // flags
		{ CTRL_SHUTDOWN, { 0, 4 } },   //
		{ 4, { 0, 8 } },               // GET_TPMESTABLISHED
		{ 5, { 4, 4 } },               // SET_LOCALITY
		{ 9, { 0, 4 } },               // CANCEL_TPM_CMD
		{ 10, { 0, 4 } },              // STORE_VOLATILE
		{ 11, { 4, 4 } },              // RESET_TPMESTABLISHED
		{ 14, { 0, 4 } },              // STOP
		{ 15, { 0, 8 } },              // GET_CONFIG
		{ CTRL_SET_DATAFD, { 0, 4 } }, // with a descriptor
		{ 17, { 4, 16 } },             // SET_BUFFERSIZE
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].command == command) {
			*out = known[i].form;
			return true;
		}
	return false;
}

bool ctrl_ok(struct span answer)
{
	struct rd r = rd_span(answer);
	uint32_t result = rd_be32(&r);

	return !r.bad && result == 0;
}
