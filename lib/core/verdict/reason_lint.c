// Explanations of what `dstack lint` finds in compose files. Findings, not refusals.
#include "core/verdict/reason_more.h"

// clang-format off
static const struct reason_text table[] = {
	{
		"lint.agent_socket", "A container has the agent's socket",
		"Whoever has it gets every key and quote of the app; all such containers are one domain of trust.",
		"Give it to the containers that need keys, and to no other.",
	},
	{
		"lint.built_later", "An image is built in the guest",
		"The recipe is measured, not what it fetches.",
		"Build it before, and name it by digest.",
	},
	{
		"lint.cap_add", "A container has more capabilities than usual",
		"With some of them it can change the guest itself.",
		"Leave out what it does not need.",
	},
	{
		"lint.device", "A container opens devices",
		"What it can do with them depends on the device.",
		"Leave out what it does not need.",
	},
	{
		"lint.engine_socket", "A container has the container engine's socket",
		"It can start any image: what runs need not be what the compose file says.",
		"Do without, or trust that image as much as the whole app.",
	},
	{
		"lint.env_steers", "A variable that may be set from outside steers programs",
		"Its name is one that the guest's shell and tools, or a common interpreter, act on.",
		"Use a name of the app's own, and let the compose file map it.",
	},
	{
		"lint.env_unsigned", "Anybody may send the app its variables",
		"They are sealed, so nobody reads them, but the sealing key is public: the host can put others in their place.",
		"Deploy with a signer (dstack deploy does unless told otherwise).",
	},
	{
		"lint.guest_script", "A script runs in the guest, outside any container",
		"It is measured with the compose file, and may do anything in the guest.",
		"Read it as you would read the app's code.",
	},
	{
		"lint.host_mount", "A container has a folder of the guest",
		"What lies there is not measured and may be shared with others.",
		"Use a named volume.",
	},
	{
		"lint.include", "The compose file takes parts from other files",
		"Only this file is measured.",
		"Put everything into one file.",
	},
	{
		"lint.net_host", "A container uses the guest's network",
		"It reaches and can take the place of whatever else listens there.",
		"Publish the ports it needs.",
	},
	{
		"lint.other_host", "A container shares a namespace with the guest",
		"It sees or changes what others rely on.",
		"Leave the option out.",
	},
	{
		"lint.pid_host", "A container sees all processes of the guest",
		"It can read and end other containers' processes.",
		"Leave the option out.",
	},
	{
		"lint.privileged", "A container is privileged",
		"It can do whatever the guest's kernel can, and read what every other container holds.",
		"Do without, or trust that image as much as the whole app.",
	},
	{
		"lint.runtime_code", "Code is fetched when the app runs",
		"What is fetched is not measured: another day it may be something else.",
		"Put it into the image.",
	},
	{
		"lint.security_opt", "A container turns a protection off",
		"Without it more of the guest can be attacked.",
		"Leave the option out.",
	},
	{
		"lint.unpinned_image", "An image is not pinned by its digest",
		"The registry, or who sets the variable, decides what runs.",
		"Write image: name@sha256:...",
	},
	{
		"lint.unread", "The compose file cannot be read, or not whole",
		"What it does is not known.",
		"Correct the file; docker compose config shows what is wrong.",
	},
	{
		"lint.yaml", "The compose file is no YAML that can be read",
		"The text says what and where.",
		"Correct the file; docker compose config shows what is wrong.",
	},
};
// clang-format on
const struct reason_group reason_lint = { table, sizeof table / sizeof *table };
