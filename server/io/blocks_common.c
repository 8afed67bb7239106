/* See blocks_common.h. */
#include "io/blocks_common.h"

#include <limits.h>
#include <string.h>

#include "core/box.h"
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

int gd_blocks_read_timestep(const struct gd_block_file *file, const struct gd_block *block, int64_t *step, double *time, struct gd_err *err)
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

/* GROMACS writes its .g96 boxes with nine numbers when they are not rectangular: xx yy zz xy xz yx yz zx zy, where xy is the
 * y component of the first vector. */
static int nine_numbers(struct gd_cursor *c, const double diagonal[3], struct gd_box *box, struct gd_err *err)
{
    static const char to[6][2] = {{0, 1}, {0, 2}, {1, 0}, {1, 2}, {2, 0}, {2, 1}};
    struct gd_box made;
    struct gd_err why;
    bool skew = false;
    memset(&made, 0, sizeof made);
    for (int k = 0; k < 3; k++)
        made.vectors[k][k] = diagonal[k];
    for (int k = 0; k < 6; k++) {
        double *component = &made.vectors[(int)to[k][0]][(int)to[k][1]];
        int rc = gd_cursor_double(c, "a box vector", component, err);
        if (rc != 0)
            return rc;
        skew = skew || *component != 0.0;
    }
    made.kind = skew ? GD_BOX_TRICLINIC : GD_BOX_RECTANGULAR;
    int rc = gd_cursor_finish(c, "the nine components of the box vectors", err);
    if (rc != 0)
        return rc;
    gd_err_clear(&why);
    if (gd_box_check(&made, &why) != 0)
        return gd_cursor_fault(c, err, "%s", why.text);
    *box = made;
    return 0;
}

int gd_blocks_read_box(const struct gd_block_file *file, const struct gd_block *block, struct gd_box *box, struct gd_err *err)
{
    struct gd_cursor c;
    struct gd_token more;
    struct gd_genbox g = {.type = 1, .angle = {90.0, 90.0, 90.0}};
    gd_cursor_start(&c, file, block);
    int rc = read_triple(&c, "a box length", g.length, err);
    if (rc != 0)
        return rc;
    if (gd_cursor_peek(&c, &more))
        return nine_numbers(&c, g.length, box, err);
    if (g.length[0] == 0.0 && g.length[1] == 0.0 && g.length[2] == 0.0)
        g.type = 0;
    return set_box(&c, &g, box, err);
}
