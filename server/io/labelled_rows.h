/* Blocks of one line per atom: a 24-character label (residue number, residue name, atom name, atom number) and some
 * numbers, as POSITION; or the same numbers without labels ("reduced", as POSITIONRED). */
#ifndef GD_IO_LABELLED_ROWS_H
#define GD_IO_LABELLED_ROWS_H

#include "core/configuration.h"
#include "io/block_reader.h"

#define GD_LABEL_WIDTH 24

/* Lines that are neither empty nor comment. */
size_t gd_rows_count(const struct gd_block_file *file, const struct gd_block *block);

/* Reads num_values numbers per line of a labelled block, rows lines exactly, into values [rows][num_values]; labels
 * [rows] may be NULL. tail, when not NULL, receives one line that follows the rows (STOCHINT's seed), length 0 if none. */
int gd_rows_read_labelled(const struct gd_block_file *file, const struct gd_block *block, size_t rows, int num_values, double *values,
                          struct gd_atom_label *labels, struct gd_token *tail, struct gd_err *err);

/* The same for a block without labels. */
int gd_rows_read_plain(const struct gd_block_file *file, const struct gd_block *block, size_t rows, int num_values, double *values,
                       struct gd_err *err);

/* A label as the original writes it; out has room for GD_LABEL_WIDTH + 1. Numbers too wide for their columns keep their
 * last digits: readers skip exactly 24 characters. */
void gd_label_format(const struct gd_atom_label *label, size_t atom_number, char out[GD_LABEL_WIDTH + 1]);

#endif
