/* Runs one fuzz target over the files and folders named on the command line, without libFuzzer: what was found once stays
 * tested with every compiler. Link with one of the fuzz_io_*.c. Prints the number of files; fails when there were none. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    uint8_t *data = malloc(1 << 24);
    size_t size = data == NULL ? 0 : fread(data, 1, 1 << 24, file);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static size_t replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return replay_file(path);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        perror(path);
        exit(2);
    }
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char inside[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
        n += replay_file(inside);
    }
    closedir(folder);
    return n;
}

int main(int argc, char **argv)
{
    size_t n = 0;
    for (int i = 1; i < argc; i++)
        n += replay(argv[i]);
    printf("%zu inputs replayed\n", n);
    return n > 0 ? 0 : 1;
}
