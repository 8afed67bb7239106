/* Block files: outer form, tokens, numbers, and every message's line. */
#include <criterion/criterion.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "io/block_reader.h"
#include "io/output.h"
#include "io_data.h"

const char *io_data_path(const char *name)
{
    static char path[4096];
    const char *slash = strrchr(__FILE__, '/');
    int n = slash == NULL ? 0 : (int)(slash - __FILE__ + 1);
    snprintf(path, sizeof path, "%.*sdata/%s", n, __FILE__, name);
    return path;
}

char *io_data_read(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s cannot be opened", path);
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    char *text = malloc((size_t)length + 1);
    cr_assert_eq(fread(text, 1, (size_t)length, file), (size_t)length);
    text[length] = '\0';
    fclose(file);
    if (size != NULL)
        *size = (size_t)length;
    return text;
}

void io_data_write(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, size, file), size);
    fclose(file);
}

static char scratch[64];

static void remove_scratch(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", scratch);
    if (scratch[0] != '\0' && system(command) != 0)
        fprintf(stderr, "%s was not removed\n", scratch);
}

const char *io_scratch(int slot, const char *name)
{
    static char path[4][256];
    if (scratch[0] == '\0') {
        snprintf(scratch, sizeof scratch, "/tmp/gd-test-io-XXXXXX");
        cr_assert_not_null(mkdtemp(scratch));
        atexit(remove_scratch);
    }
    snprintf(path[slot], sizeof path[slot], "%s/%s", scratch, name);
    return path[slot];
}

static struct gd_block_file *parse(const char *text)
{
    struct gd_block_file *file = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_block_file_from_memory(&file, "mem", text, strlen(text), &err), 0, "%s", err.text);
    return file;
}

/* The text must be refused, with this message. */
static void refuse(const char *text, const char *message)
{
    struct gd_block_file *file = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_block_file_from_memory(&file, "mem", text, strlen(text), &err), GD_E_FILE_FORMAT);
    cr_assert_null(file);
    cr_assert_not_null(strstr(err.text, message), "said '%s', expected '%s'", err.text, message);
}

Test(io_blocks, finds_blocks_and_lines)
{
    struct gd_block_file *file = parse("# head\n\nTITLE\nsome text # with a mark\nEND\n  POSITION  # note\r\n1 2\r\nEND # here\nLAST\nEND");
    cr_assert_eq(file->num_blocks, 3);
    struct gd_block *block = gd_block_file_find(file, "POSITION");
    cr_assert_not_null(block);
    cr_assert_eq(block->line, 6);
    cr_assert_null(gd_block_file_find(file, "POSITIO"));
    cr_assert_eq(file->blocks[2].begin, file->blocks[2].end);
    gd_block_file_destroy(&file);
    cr_assert_null(file);
}

Test(io_blocks, tokens_pass_over_comments_and_lines)
{
    struct gd_block_file *file = parse("X\n# nothing\n 1 two#three\n\n\t3.5\nEND\n");
    struct gd_cursor c;
    struct gd_token t;
    struct gd_err err;
    long n;
    char word[8];
    double d;
    gd_err_clear(&err);
    gd_cursor_start(&c, file, &file->blocks[0]);
    cr_assert_eq(gd_cursor_long(&c, "n", 0, 5, &n, &err), 0);
    cr_assert_eq(gd_cursor_word(&c, "w", word, sizeof word, &err), 0);
    cr_assert_str_eq(word, "two");
    cr_assert_eq(c.line, 3);
    cr_assert_eq(gd_cursor_double(&c, "d", &d, &err), 0);
    cr_assert_eq(d, 3.5);
    cr_assert_eq(c.line, 5);
    cr_assert_not(gd_cursor_token(&c, &t));
    cr_assert_eq(gd_cursor_double(&c, "the mass", &d, &err), GD_E_FILE_FORMAT);
    cr_assert_str_eq(err.text, "mem:6: block X: the block ends where the mass should follow");
    gd_block_file_destroy(&file);
}

Test(io_blocks, lines_count_themselves)
{
    struct gd_block_file *file = parse("X\n\n  a b \n#c\nd # e\n\nEND\n");
    struct gd_cursor c;
    struct gd_token line;
    gd_cursor_start(&c, file, &file->blocks[0]);
    cr_assert(gd_cursor_line(&c, &line));
    cr_assert_eq(line.line, 3);
    cr_assert_eq(line.length, 5);
    cr_assert(gd_cursor_line(&c, &line));
    cr_assert_eq(line.line, 5);
    cr_assert_eq(line.length, 1);
    cr_assert_not(gd_cursor_line(&c, &line));
    gd_block_file_destroy(&file);
}

Test(io_blocks, outer_form_is_checked)
{
    refuse("TITLE\ntext\n", "mem:2: block TITLE, begun in line 1, has no END");
    refuse("END\n", "mem:1: END without a block");
    refuse("1.0 2.0 3.0\nEND\n", "mem:1: a line outside of any block");
    refuse("TITLE\nEND\nTITLE two\nEND\n", "mem:3: a line outside");
    refuse("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ\nEND\n", "mem:1: a line outside");
    refuse("X\nEND\nEN", "mem:3: block EN, begun in line 3");
}

Test(io_blocks, zero_bytes_are_no_text)
{
    struct gd_block_file *file = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_block_file_from_memory(&file, "mem", "X\n1\0002\nEND\n", 10, &err), GD_E_FILE_FORMAT);
    cr_assert_str_eq(err.text, "mem:2: a zero byte: this is not a text file");
}

Test(io_blocks, second_block_is_refused)
{
    struct gd_block_file *file = parse("X\nEND\nY\nEND\nX\nEND\n");
    struct gd_block *block = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_block_file_single(file, "X", true, &block, &err), GD_E_FILE_FORMAT);
    cr_assert_str_eq(err.text, "mem:5: block X: a second one (the first is in line 1); only one is allowed");
    cr_assert_eq(gd_block_file_single(file, "Z", true, &block, &err), GD_E_FILE_FORMAT);
    cr_assert_str_eq(err.text, "mem: block Z is missing");
    cr_assert_eq(gd_block_file_single(file, "Z", false, &block, &err), 0);
    cr_assert_null(block);
    gd_block_file_destroy(&file);
}

/* Every double printed in some way must come back exactly as strtod reads it. */
Test(io_blocks, numbers_are_rounded_as_strtod_does)
{
    static const char *const formats[] = {"%.9f", "%.17g", "%.15g", "%.3e", "%+.6f", "%.0f", "%.12f", "%.25e"};
    unsigned long long state = 88172645463325252ull;
    for (int i = 0; i < 20000; i++) {
        char text[512];
        double x, y;
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        x = ((double)(state >> 11) / 9007199254740992.0 - 0.5) * pow(10.0, (double)(state % 37) - 12.0);
        snprintf(text, sizeof text, formats[i % 8], x);
        cr_assert_eq(gd_parse_double(text, strlen(text), &y), 0, "%s", text);
        cr_assert_eq(y, strtod(text, NULL), "%s", text);
    }
}

Test(io_blocks, what_is_no_number_is_refused)
{
    static const char *const bad[] = {"",     ".",    "-",     "+",   "e5",  "1e",    "1e+", "nan", "inf",
                                      "-inf", "0x10", "1.2.3", "1,5", "1d5", "1e999", "--1", "1-",  "1 "};
    double d;
    long n;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(gd_parse_double(bad[i], strlen(bad[i]), &d), -1, "'%s' was taken for %g", bad[i], d);
    static const char *const not_long[] = {"",    "-", "1.0", "1e3", "9223372036854775808", "99999999999999999999999999999999999",
                                           "0x1", " 1"};
    for (size_t i = 0; i < sizeof not_long / sizeof not_long[0]; i++)
        cr_assert_eq(gd_parse_long(not_long[i], strlen(not_long[i]), &n), -1, "'%s'", not_long[i]);
    cr_assert_eq(gd_parse_long("-9223372036854775808", 20, &n), 0);
    cr_assert_eq(gd_parse_double("1e-999", 6, &d), 0);
    cr_assert_eq(d, 0.0);
    cr_assert_eq(gd_parse_double("-.5", 3, &d), 0);
    cr_assert_eq(d, -0.5);
}

Test(io_blocks, locale_makes_no_difference)
{
    double d;
    char text[GD_FIXED_MAX];
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL)
        setlocale(LC_NUMERIC, "C"); /* the other locale is not installed: the plain path is tested twice */
    cr_assert_eq(gd_parse_double("1234567890.123456789012", 23, &d), 0);
    size_t n = gd_format_fixed(text, d, 0, 3);
    cr_assert_eq(n, 14);
    cr_assert_eq(memcmp(text, "1234567890.123", n), 0);
    n = gd_format_fixed(text, 1e20, 0, 1);
    cr_assert_eq(memcmp(text, "100000000000000000000.0", n), 0);
    setlocale(LC_NUMERIC, "C");
}

/* The fast formatter against printf, ties and carries among the values. */
Test(io_blocks, formatted_numbers_are_those_of_printf)
{
    static const double special[] = {0.0, -0.0, 0.5, 1.5, 2.5, 0.9999999995, 0.99999999949, -0.0000000004, 1e15, 1e-300, 999999.9999999999,
                                     0.1, 1e22};
    unsigned long long state = 1234567ull;
    for (int i = 0; i < 50000; i++) {
        char fast[GD_FIXED_MAX], slow[512];
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        double x = (double)(int64_t)state * pow(10.0, (double)(state % 30) - 32.0);
        if (i < 13 * 16)
            x = special[i % 13];
        else if (i % 3 == 0)
            x = rint(x * 1e3) / 1e3 + (i % 2 == 0 ? 0.0005 : 0.0);
        int decimals = i % 16, width = i % 21;
        size_t n = gd_format_fixed(fast, x, width, decimals);
        int m = snprintf(slow, sizeof slow, "%*.*f", width, decimals, x);
        cr_assert_eq(n, (size_t)m, "%.17g", x);
        cr_assert_eq(memcmp(fast, slow, n), 0, "%.17g came out as %.*s, not %s", x, (int)n, fast, slow);
    }
}

Test(io_blocks, gzip_and_its_cuts)
{
    const char *path = io_scratch(0, "cut.gz");
    char text[20000] = "X\n";
    for (int i = 0; i < 1000; i++)
        sprintf(text + strlen(text), "%d\n", i * 7919 % 1009);
    strcat(text, "END\n");
    gzFile out = gzopen(path, "wb");
    gzwrite(out, text, (unsigned)strlen(text));
    gzclose(out);
    struct gd_block_file *file = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_block_file_open(&file, path, 0, &err), 0, "%s", err.text);
    cr_assert_eq(file->size, strlen(text));
    gd_block_file_destroy(&file);
    cr_assert_eq(gd_block_file_open(&file, path, 100, &err), GD_E_FILE_FORMAT);
    cr_assert_not_null(strstr(err.text, "longer than 100 bytes"), "%s", err.text);
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    for (off_t cut = st.st_size - 1; cut > 20; cut -= st.st_size / 23) {
        cr_assert_eq(truncate(path, cut), 0);
        cr_assert_eq(gd_block_file_open(&file, path, 0, &err), GD_E_FILE_FORMAT, "cut at %ld: %s", (long)cut, err.text);
    }
}

Test(io_blocks, files_that_cannot_be_read)
{
    struct gd_block_file *file = NULL;
    struct gd_err err;
    gd_err_clear(&err);
    cr_assert_eq(gd_block_file_open(&file, "/nonexistent/file.cnf", 0, &err), GD_E_FILE_ACCESS);
    cr_assert_not_null(strstr(err.text, "/nonexistent/file.cnf: cannot be opened"), "%s", err.text);
    cr_assert_eq(gd_block_file_open(&file, "/tmp", 0, &err), GD_E_FILE_ACCESS);
    gd_err_clear(&err);
    cr_assert_eq(gd_block_file_open(&file, "/dev/zero", 0, &err), GD_E_FILE_ACCESS);
    cr_assert_not_null(strstr(err.text, "/dev/zero: is not a regular file"), "%s", err.text);
    cr_assert_null(file);
}
