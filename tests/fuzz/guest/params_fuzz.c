// Whatever the command line, uevents and superblocks hold: no crash, and what is accepted is well formed.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../../guest/init/params.h"
#include "../../../guest/init/verity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct params p;
	struct verity v;
	struct err e;
	char dev[32], table[VERITY_TABLE_MAX];
	uint8_t sb[VERITY_SUPERBLOCK] = { 0 };

	if (params_parse(&p, (const char *)data, size, &e) == 0 &&
	    (strlen(p.root_hash) != PARAMS_HASH_HEX || p.root_size % 4096 ||
	     !p.root_label[0] == !p.root_path[0]))
		abort();
	if (uevent_has_label((const char *)data, size, "dstack-rootfs", dev, sizeof dev) &&
	    (!dev[0] || strchr(dev, '/')))
		abort();
	memcpy(sb, data, size < sizeof sb ? size : sizeof sb);
	if (verity_parse(&v, sb, 8192, &e) == 0 && verity_table(table, &v, "/dev/vda1", "00", &e) < 0)
		abort();
	return 0;
}
