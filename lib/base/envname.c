#include "base/envname.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/strings.h"

// By their beginning.
static const char *const guest_heads[] = {
	"LD_",     "DOCKER_", "COMPOSE_",   "BASH",       "BUILDKIT_", "BUILDX_", "CONTAINERS_",
	"MALLOC_", "PERL5",   "PYTHONPLAT", "PYTHONHOME", "READLINE_", "XDG_",    "DCAP_TDX_",
};

static const char *const guest_names[] = {
	// where programs, libraries and their data are looked for
	"PATH",
	"CDPATH",
	"HOME",
	"TMPDIR",
	"GCONV_PATH",
	"LOCPATH",
	"NLSPATH",
	"TEXTDOMAIN",
	"TEXTDOMAINDIR",
	"TERMINFO",
	"TERMINFO_DIRS",
	"HOSTALIASES",
	"LOCALDOMAIN",
	"RES_OPTIONS",
	"RESOLV_HOST_CONF",
	"GLIBC_TUNABLES",
	"GETCONF_DIR",
	"TZDIR",
	"SSL_CERT_FILE",
	"SSL_CERT_DIR",
	"OPENSSL_CONF",
	"OPENSSL_MODULES",
	"OPENSSL_ENGINES",
	"CURL_HOME",
	"CURL_CA_BUNDLE",
	"REGISTRY_AUTH_FILE",
	"STORAGE_DRIVER",
	"STORAGE_OPTS",
	"NOTIFY_SOCKET",
	"LISTEN_FDS",
	"LISTEN_PID",
	"DSTACK_RUNTIME_LOG_DIR",
	"DSTACK_CCEL_FILE",
	// what shells act on
	"IFS",
	"ENV",
	"SHELL",
	"SHELLOPTS",
	"POSIXLY_CORRECT",
	"PROMPT_COMMAND",
	"PS0",
	"PS1",
	"PS2",
	"PS3",
	"PS4",
	"GLOBIGNORE",
	"EXECIGNORE",
	"HISTCMD",
	"TMOUT",
	"FUNCNEST",
	// what a shell keeps for itself: a value would not arrive
	"_",
	"UID",
	"EUID",
	"PPID",
	"GROUPS",
	"PWD",
	"OLDPWD",
	"SHLVL",
	"RANDOM",
	"SRANDOM",
	"SECONDS",
	"LINENO",
	"EPOCHSECONDS",
	"EPOCHREALTIME",
	"DIRSTACK",
	"FUNCNAME",
	"PIPESTATUS",
	// interpreters that a script of the app may call, and Go programs such as docker-compose
	"PYTHONPATH",
	"PYTHONSTARTUP",
	"PYTHONINSPECT",
	"PYTHONEXECUTABLE",
	"PYTHONUSERBASE",
	"PYTHONBREAKPOINT",
	"PERLLIB",
	"PERL_UNICODE",
	"GODEBUG",
	"GOCOVERDIR",
};

// Programs that this guest has not, but containers do.
static const char *const app_names[] = {
	"NODE_OPTIONS",
	"NODE_PATH",
	"NODE_EXTRA_CA_CERTS",
	"NODE_TLS_REJECT_UNAUTHORIZED",
	"JAVA_TOOL_OPTIONS",
	"_JAVA_OPTIONS",
	"JDK_JAVA_OPTIONS",
	"CLASSPATH",
	"RUBYOPT",
	"RUBYLIB",
	"PHPRC",
	"PHP_INI_SCAN_DIR",
	"LUA_INIT",
	"LUA_PATH",
	"LUA_CPATH",
	"R_PROFILE",
	"GIT_SSH_COMMAND",
	"GIT_SSH",
	"GIT_ASKPASS",
	"GIT_EXEC_PATH",
	"GIT_PROXY_COMMAND",
	"SSH_ASKPASS",
	"GIT_CONFIG_GLOBAL",
	"GIT_CONFIG_COUNT",
	"REQUESTS_CA_BUNDLE",
	"PYTHONWARNINGS",
	"DOTNET_STARTUP_HOOKS",
};

static bool among(const char *const *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], name))
			return true;
	return false;
}

enum envname envname_kind(const char *name)
{
	for (size_t i = 0; i < sizeof guest_heads / sizeof *guest_heads; i++)
		if (str_starts(name, guest_heads[i]))
			return ENVNAME_GUEST;
	if (among(guest_names, sizeof guest_names / sizeof *guest_names, name))
		return ENVNAME_GUEST;
	return among(app_names, sizeof app_names / sizeof *app_names, name) ? ENVNAME_APP : ENVNAME_PLAIN;
}
