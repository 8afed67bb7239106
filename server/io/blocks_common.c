/* See blocks_common.h. */
#include "io/blocks_common.h"

#include <limits.h>
#include <string.h>

#include "io/genbox.h"

int gd_blocks_read_title(const struct gd_block_file *file, const struct gd_block *block, char **out, struct gd_err *err)
{
    size_t length = (size_t)(block->end - block->begin);
    while (length > 0 && (block->begin[length - 1] == '\n' || block->begin[length - 1] == '\r'))
        length--;
    char *title = strndup(block->begin, length);
    if (title == NULL)
        return gd_err_set(err, GD_E_OUT_OF_MEMORY, "%s: no memory for the title", file->path);
    *out = title;
    return 0;
}

int gd_blocks_read_timestep(const struct gd_block_file *file, const struct gd_block *block, int64_t *step, double *time,
                            struct gd_err *err)
{
    struct gd_cursor c;
    long s;
    double t;
    gd_cursor_start(&c, file, block);
    int rc = gd_cursor_long(&c, "the step", 0, LONG_MAX, &s, err);
    if (rc == 0)
        rc = gd_cursor_double(&c, "the time", &t, err);
    if (rc == 0)
        rc = gd_cursor_finish(&c, "the time", err);
    if (rc != 0)
        return rc;
    *step = s;
    *time = t;
    return 0;
}

static int read_triple(struct gd_cursor *c, const char *what, double out[3], struct gd_err *err)
{
    int rc = 0;
    for (int k = 0; k < 3 && rc == 0; k++)
        rc = gd_cursor_double(c, what, &out[k], err);
    return rc;
}

static int set_box(const struct gd_cursor *c, const struct gd_genbox *g, struct gd_box *box, struct gd_err *err)
{
    struct gd_err why;
    gd_err_clear(&why);
    int rc = gd_genbox_to_box(g, box, &why);
    return rc == 0 ? 0 : gd_cursor_fault(c, err, "%s", why.text);
}

int gd_blocks_read_genbox(const struct gd_block_file *file, const struct gd_block *block, struct gd_box *box, double euler[3],
                          double origin[3], struct gd_err *err)
{
    struct gd_cursor c;
    struct gd_token token;
    struct gd_genbox g;
    memset(&g, 0, sizeof g);
    gd_cursor_start(&c, file, block);
    int rc = gd_cursor_int(&c, "the box type", INT_MIN, INT_MAX, &g.type, err);
    if (rc == 0)
        rc = read_triple(&c, "a box length", g.length, err);
    if (rc == 0)
        rc = read_triple(&c, "a box angle", g.angle, err);
    if (rc == 0)
        rc = read_triple(&c, "an Euler angle of the box", g.euler, err);
    if (rc == 0 && gd_cursor_peek(&c, &token)) /* older files end here */
        rc = read_triple(&c, "the origin of the box", g.origin, err);
    if (rc == 0)
        rc = gd_cursor_finish(&c, "the origin of the box", err);
    if (rc == 0)
        rc = set_box(&c, &g, box, err);
    if (rc == 0 && euler != NULL)
        memcpy(euler, g.euler, sizeof g.euler);
    if (rc == 0 && origin != NULL)
        memcpy(origin, g.origin, sizeof g.origin);
    return rc;
}

int gd_blocks_read_box(const struct gd_block_file *file, const struct gd_block *block, struct gd_box *box, struct gd_err *err)
{
    struct gd_cursor c;
    struct gd_genbox g = {.type = 1, .angle = {90.0, 90.0, 90.0}};
    gd_cursor_start(&c, file, block);
    int rc = read_triple(&c, "a box length", g.length, err);
    if (rc == 0)
        rc = gd_cursor_finish(&c, "the three box lengths", err);
    if (rc == 0 && g.length[0] == 0.0 && g.length[1] == 0.0 && g.length[2] == 0.0)
        g.type = 0;
    return rc != 0 ? rc : set_box(&c, &g, box, err);
}
