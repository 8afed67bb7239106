/* Reading an input file to its end although parts of it are wrong, so that all faults are told at once. Each
 * block is read by a function of its own; what it reports is collected, and gd_faults_result turns the
 * collection into one error. */
#ifndef GD_IO_FAULTS_H
#define GD_IO_FAULTS_H

#include "io/block_reader.h"
#include "io/messages.h"

struct gd_faults {
    struct gd_block_file *file;
    struct gd_messages *list; /* where every fault goes */
    size_t before;            /* list->count when reading began */
    int code;                 /* 0, or the gravest code so far: out of memory before file format */
};

void gd_faults_start(struct gd_faults *faults, struct gd_block_file *file, struct gd_messages *list);

/* Opens a file whose faults are collected: that it cannot be read is a fault like another, in the list (if
 * there is one) and in err. */
int gd_faults_open(struct gd_block_file **out, const char *path, struct gd_messages *list, struct gd_err *err);

/* Adds err's text when rc != 0; returns rc. */
int gd_faults_note(struct gd_faults *faults, int rc, const struct gd_err *err);

/* Adds "file:line: block NAME: text". */
void gd_faults_at(struct gd_faults *faults, const struct gd_cursor *cursor, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The block of this name; an absent required one and a second one are noted as faults (the first is then
 * returned). */
struct gd_block *gd_faults_block(struct gd_faults *faults, const char *name, bool required);

/* Notes every block nobody asked for as a fault: "not supported". */
void gd_faults_unused(struct gd_faults *faults, const char *kind_of_file);

/* 0, or the code with the fault's text, or "file: 3 faults; the first: ...". */
int gd_faults_result(const struct gd_faults *faults, struct gd_err *err);

#endif
