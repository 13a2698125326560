// The main function of a fuzz target in ordinary builds: runs it once over every seed of its folder, each in
// memory that ends where the seed ends, in the order of their names. With -Dfuzz=true libFuzzer brings its
// own.
//   NAME_fuzz FOLDER
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static int run_file(const char *folder, const char *name)
{
	enum { MOST = 1 << 22 };
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "rb");
	uint8_t *all = malloc(MOST);
	if (!f || !all)
		return -1;
	size_t n = fread(all, 1, MOST, f);
	fclose(f);
	uint8_t *exact = realloc(all, n ? n : 1);
	if (!exact)
		return -1;
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	struct dirent **entries;
	int n, seeds = 0;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	if (argc != 2 || (n = scandir(argv[1], &entries, NULL, alphasort)) < 0) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		if (name[0] != '.') {
			printf("%s\n", name);
			fflush(stdout); // the last line names the culprit
			if (run_file(argv[1], name))
				return 1;
			seeds++;
		}
		free(entries[i]);
	}
	free(entries);
	return seeds ? 0 : 1;
}
