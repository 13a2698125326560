// relay - between QEMU's TPM back end and swtpm: passes everything on, shows each TPM command to the
// registers.
//
// QEMU connects to our control socket as it would to swtpm's. When it hands over its data socket we keep that
// and give swtpm one of our own, so commands pass through here (spec 61 section 5). CMD_INIT starts the TPM
// anew and the registers with it.
#pragma once
#include "registers.h"

struct relay {
	int qemu, swtpm;           // control
	int qemu_data, swtpm_data; // TPM commands; -1 before SET_DATAFD
	struct registers *registers;
};

void relay_init(struct relay *r, struct registers *registers);
void relay_close(struct relay *r);

// `qemu` sent something: handle one control message, or one command. ERR_ABSENT: it closed.
int relay_control(struct relay *r, struct err *e);
int relay_command(struct relay *r, struct err *e);
