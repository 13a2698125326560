// private - between state.c (the folders) and lifecycle.c (the runners).
#pragma once
#include "state.h"

// state.c
int vm_save_state(const struct vm *v, struct err *e);
void vm_forget(struct vm *v); // out of the list, freed
void vm_free(struct vm *v);
int vm_check_room(const struct vm *v, struct err *e);

// lifecycle.c
int vm_timers(struct vm *v);
void vm_adopt(struct vm *v); // a runner that is already there
void vm_unwatch(struct vm *v);
void vm_resume(struct vm *v); // at the daemon's start: what was asked for earlier
