/* See frame_blocks.h. */
#include "io/frame_blocks.h"

#include <inttypes.h>
#include <string.h>

#include "io/genbox.h"

void gd_frame_put_row(struct gd_output *out, const double row[3])
{
    for (int k = 0; k < 3; k++)
        gd_output_fixed(out, row[k], 15, 9);
    gd_output_bytes(out, "\n", 1);
}

void gd_frame_put_title(struct gd_output *out, const char *title)
{
    gd_output_text(out, "TITLE\n");
    for (const char *at = title == NULL ? "" : title; *at != '\0';) {
        size_t length = strcspn(at, "\n");
        const char *text = at + strspn(at, " \t\r");
        if (strncmp(text, "END", 3) == 0 && (text + 3 == at + length || text[3] == ' ' || strchr("\t\r\v\f#", text[3]) != NULL))
            gd_output_bytes(out, "- ", 2);
        gd_output_bytes(out, at, length);
        gd_output_bytes(out, "\n", 1);
        at += length + (at[length] == '\n');
    }
    gd_output_text(out, "END\n");
}

void gd_frame_put_timestep(struct gd_output *out, int64_t step, double time)
{
    gd_output_printf(out, "TIMESTEP\n%15" PRId64, step);
    gd_output_fixed(out, time, 15, 9);
    gd_output_text(out, "\nEND\n");
}

void gd_frame_put_genbox(struct gd_output *out, const struct gd_box *box, const double origin[3])
{
    static const double nowhere[3] = {0.0, 0.0, 0.0};
    struct gd_genbox g;
    gd_genbox_from_box(box, &g);
    gd_output_printf(out, "GENBOX\n%5d\n", g.type);
    gd_frame_put_row(out, g.length);
    gd_frame_put_row(out, g.angle);
    gd_frame_put_row(out, g.euler);
    gd_frame_put_row(out, origin == NULL ? nowhere : origin);
    gd_output_text(out, "END\n");
}

void gd_frame_put_reduced(struct gd_output *out, const char *block, const void *rows, enum gd_dtype dtype, size_t n, int width)
{
    const double *x = rows;
    const float *xf = rows;
    gd_output_printf(out, "%s\n", block);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < 3; k++)
            gd_output_fixed(out, dtype == GD_FLOAT32 ? (double)xf[3 * i + k] : x[3 * i + k], width, 9);
        gd_output_bytes(out, "\n", 1);
        if ((i + 1) % 10 == 0)
            gd_output_printf(out, "#%10zu\n", i + 1);
    }
    gd_output_text(out, "END\n");
}
