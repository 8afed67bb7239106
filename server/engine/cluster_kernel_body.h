/* The kernels over cluster pairs, for one precision and one instruction set. The file that includes this defines
 *   REAL, NAME(of a function), V (vector of WIDTH reals), MASK, and the operations below;
 * arithmetic on V is written with operators, which gcc and clang both have. Lane l of part p is lane k = p WIDTH + l of
 * sixteen: atom a = k / 4 of the row's cluster with atom b = k % 4 of the entry's.
 *   SET1(x)            x in every lane                      REPEAT(p)       four numbers, over and over
 *   SPREAD(p, part)    numbers a, each four times           ROWS(r, at, part) rows r[a] + at, side by side
 *   CHOSEN(bits, part) mask of the lanes whose bit is set   WITHIN(m, v, w) of those, lanes with v <= w
 *   ONLY(m, v)         v where m, else 0                    ANY(m)          whether any lane is set
 *   MADD(a, b, c)      a b + c                              MSUB(a, b, c)   a b - c
 *   MUL_ONLY(m, a, b)  a b where m, else 0
 *   ROOT(m, v)         ROOT_SCALE v^-1/2 where m, else 0 (which saves a multiplication in Newton's step)
 *   LOAD4, STORE4      four numbers                         SUM4(v)         sum over a of the lanes of one part
 *   AHEAD              1: begin the next pair of clusters before one is finished, which takes registers; else 0
 * and, where there is a better way than with these, its own
 *   TAKE_OFF(f, x, y, z) subtracts from f[0..3], f[4..7], f[8..11] the sums over a of the lanes of x, y, z
 *   HAND_OUT(f, s, x, y, z) adds to f the sums of x, y, z over b, and all of them to s[0], s[1], s[2]
 *   KEEP(to, from, count, bits) of up to KEPT_AT_ONCE entries those whose bits are set; may spoil as many at `to`; returns how many */
#define PARTS (16 / WIDTH)
#define KEPT_AT_ONCE 8

#ifndef TAKE_OFF
#define TAKE_OFF(f, x, y, z)                       \
    do {                                           \
        REAL *to_ = (f);                           \
        STORE4(to_, LOAD4(to_) - SUM4(x));         \
        STORE4(to_ + 4, LOAD4(to_ + 4) - SUM4(y)); \
        STORE4(to_ + 8, LOAD4(to_ + 8) - SUM4(z)); \
    } while (0)
#endif

#ifndef HAND_OUT
static inline void NAME(hand_out)(REAL *f, double *s, const V *x, const V *y, const V *z)
{
    REAL lane[3][16];
    memcpy(lane[0], x, sizeof lane[0]);
    memcpy(lane[1], y, sizeof lane[1]);
    memcpy(lane[2], z, sizeof lane[2]);
    for (int d = 0; d < 3; d++)
        for (int a = 0; a < 4; a++) {
            REAL sum = (lane[d][4 * a] + lane[d][4 * a + 1]) + (lane[d][4 * a + 2] + lane[d][4 * a + 3]);
            f[4 * d + a] += sum;
            s[d] += (double)sum;
        }
}
#define HAND_OUT(f, s, x, y, z) NAME(hand_out)(f, s, x, y, z)
#endif

#ifndef KEEP
static inline int32_t NAME(keep)(struct gd_cluster_entry *to, const struct gd_cluster_entry *from, int32_t count, uint32_t bits)
{
    int32_t kept = 0;
    for (int32_t k = 0; k < count; k++) {
        memcpy(&to[kept], &from[k], sizeof *to);
        kept += (int32_t)(bits >> k & 1);
    }
    return kept;
}
#define KEEP(to, from, count, bits) NAME(keep)((to), (from), (count), (bits))
#endif

struct NAME(row) {
    V x[PARTS], y[PARTS], z[PARTS], q[PARTS], fx[PARTS], fy[PARTS], fz[PARTS], cutoff2;
    const REAL *c6[4], *c12[4];
};

/* Energies of pairs of groups `pair`, not yet added to the job's. */
struct NAME(energy) {
    V lj, crf;
    size_t pair;
};

static inline void NAME(settle)(const struct gd_cluster_job *job, struct NAME(energy) *energy)
{
    REAL lj[WIDTH], crf[WIDTH];
    double sum_lj = 0.0, sum_crf = 0.0;
    memcpy(lj, &energy->lj, sizeof lj);
    memcpy(crf, &energy->crf, sizeof crf);
    for (int l = 0; l < WIDTH; l++) {
        sum_lj += (double)lj[l];
        sum_crf += (double)crf[l];
    }
    job->lj[energy->pair] += sum_lj;
    job->crf[energy->pair] += sum_crf;
    energy->lj = energy->crf = SET1((REAL)0);
}

/* Energies of one pair of clusters: to the sum of their groups, or atom by atom where a cluster has several groups. */
static inline void NAME(to_groups)(const struct gd_cluster_job *job, int32_t i, int32_t j, const V *lj, const V *crf,
                                   struct NAME(energy) *energy)
{
    if (job->cluster_group[i] >= 0 && job->cluster_group[j] >= 0) {
        size_t pair = (size_t)job->cluster_group[i] * job->num_groups + (size_t)job->cluster_group[j];
        if (pair != energy->pair)
            NAME(settle)(job, energy);
        energy->pair = pair;
        for (int p = 0; p < PARTS; p++) {
            energy->lj += lj[p];
            energy->crf += crf[p];
        }
        return;
    }
    REAL lane_lj[16], lane_crf[16];
    memcpy(lane_lj, lj, sizeof lane_lj);
    memcpy(lane_crf, crf, sizeof lane_crf);
    for (int k = 0; k < 16; k++) {
        size_t pair = (size_t)job->group[4 * i + k / 4] * job->num_groups + (size_t)job->group[4 * j + k % 4];
        job->lj[pair] += (double)lane_lj[k];
        job->crf[pair] += (double)lane_crf[k];
    }
}

/* One pair of clusters as far as ROOT. */
struct NAME(tile) {
    V dx[PARTS], dy[PARTS], dz[PARTS], r2[PARTS], ri[PARTS];
    MASK acts[PARTS];
};

static inline __attribute__((always_inline)) void NAME(begin)(const struct gd_cluster_job *job, const struct NAME(row) *row,
                                                              const struct gd_cluster_entry *entry, struct NAME(tile) *tile)
{
    const REAL *at = (const REAL *)job->place + 16 * (size_t)entry->cluster;
    const V xj = REPEAT(at), yj = REPEAT(at + 4), zj = REPEAT(at + 8);
    for (int p = 0; p < PARTS; p++) {
        tile->dx[p] = row->x[p] - xj;
        tile->dy[p] = row->y[p] - yj;
        tile->dz[p] = row->z[p] - zj;
        tile->r2[p] = MADD(tile->dx[p], tile->dx[p], MADD(tile->dy[p], tile->dy[p], tile->dz[p] * tile->dz[p]));
        tile->acts[p] = WITHIN(CHOSEN(entry->mask, p), tile->r2[p], row->cutoff2);
        tile->ri[p] = ROOT(tile->acts[p], tile->r2[p]);
    }
}

/* Entries [begin, end) of a row; `kind` and `energies` are constants where this is called. There is an entry at `end`: the
 * next pair of clusters is begun before one is finished, so that the processor need not wait for the one's roots. */
static inline __attribute__((always_inline)) void NAME(entries)(const struct gd_cluster_job *job, int32_t i, struct NAME(row) *row,
                                                                int32_t begin, int32_t end, const enum gd_cluster_kind kind,
                                                                const enum gd_cluster_energies energies, struct NAME(energy) *energy)
{
    const double s = ROOT_SCALE, s2 = s * s, s6 = s2 * s2 * s2;
    const V cut3i = SET1((REAL)(s * s2 * job->rf.cut3i));
    const V f6 = SET1((REAL)(6.0 * job->common.c6 / (s6 * s2))), f12 = SET1((REAL)(12.0 * job->common.c12 / (s6 * s6 * s2)));
    const struct gd_cluster_entry *entry = job->list->entry + begin, *last = job->list->entry + end;
    struct NAME(tile) tile, next;
    if (AHEAD && entry < last)
        NAME(begin)(job, row, entry, &tile);
    for (; entry < last; entry++) {
        V fxj, fyj, fzj, lj[PARTS], crf[PARTS];
        const V qj = REPEAT((const REAL *)job->place + 16 * (size_t)entry->cluster + 12);
        NAME(begin)(job, row, entry + AHEAD, AHEAD ? &next : &tile);
        for (int p = 0; p < PARTS; p++) {
            const MASK acts = tile.acts[p];
            const V r2 = tile.r2[p], ri = tile.ri[p], r2i = ri * ri, qq = row->q[p] * qj;
            V f = MUL_ONLY(acts, MADD(ri, r2i, cut3i), qq);
            if (kind == GD_CLUSTER_COMMON) {
                const V r6i = MUL_ONLY(CHOSEN(entry->common, p), r2i * r2i, r2i);
                f = MADD(MSUB(f12, r6i, f6) * r6i, r2i, f);
                if (energies != GD_CLUSTER_NO_ENERGIES) {
                    const double c6 = job->common.c6, c12 = job->common.c12;
                    const V shift = SET1((REAL)(c12 * job->shift_r12 - c6 * job->shift_r6));
                    const V e6 = SET1((REAL)(c6 / s6)), e12 = SET1((REAL)(c12 / (s6 * s6)));
                    lj[p] = ONLY(WITHIN(CHOSEN(entry->mask & entry->common, p), r2, row->cutoff2), MSUB(MSUB(e12, r6i, e6), r6i, shift));
                }
            } else if (kind == GD_CLUSTER_ANY) {
                const size_t j0 = GD_CLUSTER * (size_t)entry->cluster;
                const V c6 = ROWS(row->c6, j0, p), c12 = ROWS(row->c12, j0, p);
                const V r6i = r2i * r2i * r2i * SET1((REAL)(1.0 / s6)), c12_r6 = c12 * r6i;
                f = MADD((c12_r6 + c12_r6 - c6) * (r6i * SET1((REAL)(6.0 / s2))), r2i, f);
                if (energies != GD_CLUSTER_NO_ENERGIES) {
                    const V shift = c12 * SET1((REAL)job->shift_r12) - c6 * SET1((REAL)job->shift_r6);
                    lj[p] = ONLY(acts, MSUB(c12_r6 - c6, r6i, shift));
                }
            } else {
                lj[p] = SET1((REAL)0);
            }
            if (energies != GD_CLUSTER_NO_ENERGIES) {
                const V constant = MADD(SET1((REAL)(s * s2 * job->rf.two_cut3i)), r2, SET1((REAL)(s * s2 * job->rf.cut)));
                crf[p] = MUL_ONLY(acts, qq, MSUB(SET1((REAL)s2), ri, constant));
            }
            const V fx = tile.dx[p] * f, fy = tile.dy[p] * f, fz = tile.dz[p] * f;
            row->fx[p] += fx;
            row->fy[p] += fy;
            row->fz[p] += fz;
            if (p == 0) {
                fxj = fx;
                fyj = fy;
                fzj = fz;
            } else {
                fxj += fx;
                fyj += fy;
                fzj += fz;
            }
        }
        TAKE_OFF((REAL *)job->force + 16 * (size_t)entry->cluster, fxj, fyj, fzj);
        for (int p = 0; p < PARTS && energies == GD_CLUSTER_ONE_GROUP; p++) {
            energy->lj += lj[p];
            energy->crf += crf[p];
        }
        if (energies == GD_CLUSTER_GROUPS)
            NAME(to_groups)(job, i, entry->cluster, lj, crf, energy);
        if (AHEAD)
            tile = next;
    }
}

static inline __attribute__((always_inline)) void NAME(rows)(const struct gd_cluster_job *job, const enum gd_cluster_energies energies)
{
    const double s3 = ROOT_SCALE * ROOT_SCALE * ROOT_SCALE;
    struct NAME(energy) energy = {SET1((REAL)0), SET1((REAL)0), 0};
    for (size_t n = 0; n < job->list->num_rows; n++) {
        const struct gd_cluster_row *row = &job->list->row[n];
        const double *shift = job->shift[row->shift];
        const REAL *at = (const REAL *)job->place + 16 * (size_t)row->cluster;
        struct NAME(row) now;
        now.cutoff2 = SET1((REAL)job->cutoff2);
        for (int p = 0; p < PARTS; p++) {
            now.x[p] = SPREAD(at, p) + SET1((REAL)shift[0]);
            now.y[p] = SPREAD(at + 4, p) + SET1((REAL)shift[1]);
            now.z[p] = SPREAD(at + 8, p) + SET1((REAL)shift[2]);
            now.q[p] = SPREAD(at + 12, p) * SET1((REAL)(1.0 / s3));
            now.fx[p] = now.fy[p] = now.fz[p] = SET1((REAL)0);
        }
        NAME(entries)(job, row->cluster, &now, row->begin[0], row->begin[1], GD_CLUSTER_CHARGES, energies, &energy);
        NAME(entries)(job, row->cluster, &now, row->begin[1], row->begin[2], GD_CLUSTER_COMMON, energies, &energy);
        if (row->begin[2] < row->begin[3]) {
            for (size_t a = 0; a < 4; a++) {
                size_t of = (size_t)job->type[4 * (size_t)row->cluster + a] * job->slots;
                now.c6[a] = (const REAL *)job->c6 + of;
                now.c12[a] = (const REAL *)job->c12 + of;
            }
            NAME(entries)(job, row->cluster, &now, row->begin[2], row->begin[3], GD_CLUSTER_ANY, energies, &energy);
        }
        HAND_OUT((REAL *)job->force + 16 * (size_t)row->cluster, job->shift_force[row->shift], now.fx, now.fy, now.fz);
        if (energies == GD_CLUSTER_ONE_GROUP)
            NAME(settle)(job, &energy);
    }
    if (energies == GD_CLUSTER_GROUPS)
        NAME(settle)(job, &energy);
}

static void NAME(forces)(const struct gd_cluster_job *job)
{
    if (job->energies == GD_CLUSTER_NO_ENERGIES)
        NAME(rows)(job, GD_CLUSTER_NO_ENERGIES);
    else if (job->energies == GD_CLUSTER_ONE_GROUP)
        NAME(rows)(job, GD_CLUSTER_ONE_GROUP);
    else
        NAME(rows)(job, GD_CLUSTER_GROUPS);
}

/* A row's own cluster, moved, and the reach of its atoms. */
struct NAME(place) {
    V x[PARTS], y[PARTS], z[PARTS], reach[PARTS];
};

static inline __attribute__((always_inline)) void NAME(take_place)(const struct gd_cluster_row *row, const double (*shift)[3],
                                                                   const REAL *place, double radius, struct NAME(place) *own)
{
    const REAL *at = place + 16 * (size_t)row->cluster;
    for (int p = 0; p < PARTS; p++) {
        own->x[p] = SPREAD(at, p) + SET1((REAL)shift[row->shift][0]);
        own->y[p] = SPREAD(at + 4, p) + SET1((REAL)shift[row->shift][1]);
        own->z[p] = SPREAD(at + 8, p) + SET1((REAL)shift[row->shift][2]);
        own->reach[p] = SPREAD(at + 12, p) + SET1((REAL)radius);
    }
}

/* Which of up to KEPT_AT_ONCE entries have two atoms within the sum of both reaches. */
static inline __attribute__((always_inline))
uint32_t NAME(reached)(const struct NAME(place) *own, const REAL *place, const struct gd_cluster_entry *entry, int32_t count)
{
    uint32_t near = 0;
    for (int32_t k = 0; k < count; k++) {
        const REAL *to = place + 16 * (size_t)entry[k].cluster;
        for (int p = 0; p < PARTS; p++) {
            const V dx = own->x[p] - REPEAT(to), dy = own->y[p] - REPEAT(to + 4), dz = own->z[p] - REPEAT(to + 8);
            const V reach = own->reach[p] + REPEAT(to + 12);
            const MASK within = WITHIN(CHOSEN(entry[k].mask, p), MADD(dx, dx, MADD(dy, dy, dz * dz)), reach * reach);
            near |= (uint32_t)ANY(within) << k;
        }
    }
    return near;
}

/* Which of up to KEPT_AT_ONCE entries have two atoms within the root of `limit` of each other; inner: within that of `closer`. */
static inline __attribute__((always_inline))
uint32_t NAME(within)(const struct NAME(place) *own, const REAL *place, const struct gd_cluster_entry *entry, int32_t count, const V *limit,
                      const V *closer, uint32_t *inner)
{
    uint32_t near = 0;
    for (int32_t k = 0; k < count; k++) {
        const REAL *to = place + 16 * (size_t)entry[k].cluster;
        for (int p = 0; p < PARTS; p++) {
            const V dx = own->x[p] - REPEAT(to), dy = own->y[p] - REPEAT(to + 4), dz = own->z[p] - REPEAT(to + 8);
            const V r2 = MADD(dx, dx, MADD(dy, dy, dz * dz));
            const MASK within = WITHIN(CHOSEN(entry[k].mask, p), r2, *limit), close = WITHIN(within, r2, *closer);
            near |= (uint32_t)ANY(within) << k;
            *inner |= (uint32_t)ANY(close) << k;
        }
    }
    return near;
}

/* The row of the same cluster in another list, still without entries. */
static inline struct gd_cluster_row *NAME(next_row)(struct gd_cluster_list *list, const struct gd_cluster_row *row, int32_t used)
{
    struct gd_cluster_row *out = &list->row[list->num_rows];
    out->cluster = row->cluster;
    out->shift = row->shift;
    out->begin[0] = used;
    return out;
}

static void NAME(sift)(const struct gd_cluster_list *found, const double (*shift)[3], const void *place, double radius2, double sure2,
                       struct gd_cluster_entry *spare, struct gd_cluster_list *sifted)
{
    const V limit = SET1((REAL)radius2), closer = SET1((REAL)sure2);
    int32_t used = 0;
    sifted->num_rows = 0;
    for (size_t n = 0; n < found->num_rows; n++) {
        const struct gd_cluster_row *row = &found->row[n];
        struct NAME(place) own;
        NAME(take_place)(row, shift, place, 0.0, &own);
        struct gd_cluster_row *out = NAME(next_row)(sifted, row, used);
        for (int kind = 0; kind < GD_CLUSTER_KINDS; kind++) {
            int32_t others = 0;
            for (int32_t e = row->begin[kind], end = row->begin[kind + 1]; e < end; e += KEPT_AT_ONCE) {
                const struct gd_cluster_entry *entry = &found->entry[e];
                const int32_t count = end - e < KEPT_AT_ONCE ? end - e : KEPT_AT_ONCE;
                uint32_t sure = 0, near = NAME(within)(&own, place, entry, count, &limit, &closer, &sure);
                used += KEEP(sifted->entry + used, entry, count, sure);
                others += KEEP(spare + others, entry, count, near & ~sure);
            }
            out->sure[kind] = used;
            memcpy(sifted->entry + used, spare, (size_t)others * sizeof *spare);
            used += others;
            out->begin[kind + 1] = used;
        }
        sifted->num_rows += out->begin[GD_CLUSTER_KINDS] > out->begin[0];
    }
    sifted->num_entries = (size_t)used;
}

static void NAME(prune)(const struct gd_cluster_list *found, const double (*shift)[3], const void *place, double radius,
                        struct gd_cluster_list *kept)
{
    int32_t used = 0;
    kept->num_rows = 0;
    for (size_t n = 0; n < found->num_rows; n++) {
        const struct gd_cluster_row *row = &found->row[n];
        struct NAME(place) own;
        NAME(take_place)(row, shift, place, radius, &own);
        struct gd_cluster_row *out = NAME(next_row)(kept, row, used);
        for (int kind = 0; kind < GD_CLUSTER_KINDS; kind++) {
            const int32_t sure = row->sure[kind] - row->begin[kind];
            memcpy(kept->entry + used, found->entry + row->begin[kind], (size_t)sure * sizeof *kept->entry);
            used += sure;
            for (int32_t e = row->sure[kind], end = row->begin[kind + 1]; e < end; e += KEPT_AT_ONCE) {
                const struct gd_cluster_entry *entry = &found->entry[e];
                const int32_t count = end - e < KEPT_AT_ONCE ? end - e : KEPT_AT_ONCE;
                used += KEEP(kept->entry + used, entry, count, NAME(reached)(&own, place, entry, count));
            }
            out->begin[kind + 1] = used;
        }
        kept->num_rows += out->begin[GD_CLUSTER_KINDS] > out->begin[0];
    }
    kept->num_entries = (size_t)used;
    kept->entry[used] = (struct gd_cluster_entry){0, 0, 0}; /* where the kernel looks ahead */
}

#undef PARTS
#undef KEPT_AT_ONCE
#undef KEEP
#undef REAL
#undef NAME
#undef WIDTH
#undef AHEAD
#undef V
#undef V4
#undef MASK
#undef SET1
#undef REPEAT
#undef SPREAD
#undef ROWS
#undef CHOSEN
#undef WITHIN
#undef ONLY
#undef ANY
#undef MADD
#undef MSUB
#undef MUL_ONLY
#undef ROOT
#undef ROOT_SCALE
#undef SUM4
#undef LOAD4
#undef STORE4
#undef TAKE_OFF
#undef HAND_OUT
