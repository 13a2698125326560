// envname - names of environment variables that steer programs, whoever sets them.
//
// Variables of a sealed environment pass through the guest's own shell and `docker-compose` on their way to
// containers. A name that either of these, the C library or a script's interpreter acts on is no place for a
// value from outside; nor one that the shell keeps for itself, for it would not arrive (spec 70 HB-10,
// HB-11).
#pragma once

enum envname {
	ENVNAME_PLAIN,
	ENVNAME_APP,   // steers programs that run in containers only: worth a word
	ENVNAME_GUEST, // steers what the guest itself runs, or cannot be delivered: refused
};

enum envname envname_kind(const char *name);
