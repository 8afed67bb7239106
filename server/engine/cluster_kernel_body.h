/* The kernel over cluster pairs, for one precision and one instruction set. The file that includes this defines
 *   REAL, NAME, V (vector of WIDTH reals), V4 (of four), MASK, and the operations below;
 * arithmetic on V is written with operators, which gcc and clang both have. Lane l of part p is lane k = p WIDTH + l of
 * sixteen: atom a = k / 4 of the row's cluster with atom b = k % 4 of the entry's.
 *   SET1(x)            x in every lane                      REPEAT(p)       four numbers, over and over
 *   SPREAD(p, part)    numbers a, each four times           ROWS(r, at, part) rows r[a] + at, side by side
 *   CHOSEN(bits, part) mask of the lanes whose bit is set   WITHIN(m, v, w) of those, lanes with v <= w
 *   KEEP(m, v, w)      v where m, else w                    ONLY(m, v)      v where m, else 0
 *   RSQRT(v)           v^-1/2                               SUM4(v)         sum over a of the lanes of one part
 *   LOAD4, STORE4      four numbers */
#define PARTS (16 / WIDTH)

void NAME(const struct gd_cluster_job *job)
{
    const REAL *x = job->x, *y = job->y, *z = job->z, *charge = job->charge;
    REAL *fx = job->fx, *fy = job->fy, *fz = job->fz;
    const V cutoff2 = SET1((REAL)job->cutoff2), s6 = SET1((REAL)job->shift_r6), s12 = SET1((REAL)job->shift_r12);
    const V cut3i = SET1((REAL)job->rf.cut3i), two_cut3i = SET1((REAL)job->rf.two_cut3i), cut = SET1((REAL)job->rf.cut);
    const V six = SET1((REAL)6), zero = SET1((REAL)0);
    double total_lj = 0.0, total_crf = 0.0;
    for (size_t n = 0; n < job->num_rows; n++) {
        const struct gd_cluster_row *row = &job->row[n];
        const double *shift = job->shift[row->shift];
        const size_t i0 = (size_t)row->cluster * GD_CLUSTER;
        V xi[PARTS], yi[PARTS], zi[PARTS], qi[PARTS], fxi[PARTS], fyi[PARTS], fzi[PARTS];
        V sum_lj = zero, sum_crf = zero;
        const REAL *c6_row[4], *c12_row[4];
        for (int p = 0; p < PARTS; p++) {
            xi[p] = SPREAD(x + i0, p) + SET1((REAL)shift[0]);
            yi[p] = SPREAD(y + i0, p) + SET1((REAL)shift[1]);
            zi[p] = SPREAD(z + i0, p) + SET1((REAL)shift[2]);
            qi[p] = SPREAD(charge + i0, p);
            fxi[p] = fyi[p] = fzi[p] = zero;
        }
        for (size_t a = 0; a < 4; a++) {
            c6_row[a] = (const REAL *)job->c6 + (size_t)job->type[i0 + a] * job->slots;
            c12_row[a] = (const REAL *)job->c12 + (size_t)job->type[i0 + a] * job->slots;
        }
        for (int32_t e = row->begin; e < row->end; e++) {
            const size_t j0 = (size_t)job->entry[e].cluster * GD_CLUSTER;
            const uint32_t bits = job->entry[e].mask;
            const V xj = REPEAT(x + j0), yj = REPEAT(y + j0), zj = REPEAT(z + j0), qj = REPEAT(charge + j0);
            V fxj = zero, fyj = zero, fzj = zero;
            REAL lane_lj[16], lane_crf[16];
            for (int p = 0; p < PARTS; p++) {
                V dx = xi[p] - xj, dy = yi[p] - yj, dz = zi[p] - zj;
                V r2 = dx * dx + dy * dy + dz * dz;
                MASK acts = CHOSEN(bits, p);
                acts = WITHIN(acts, r2, cutoff2);
                r2 = KEEP(acts, r2, cutoff2);
                const V ri = RSQRT(r2), r2i = ri * ri, r6i = r2i * r2i * r2i, qq = qi[p] * qj;
                const V c6 = ROWS(c6_row, j0, p), c12 = ROWS(c12_row, j0, p), c12_r6 = c12 * r6i;
                V lj = (c12_r6 - c6) * r6i - (c12 * s12 - c6 * s6);
                V crf = qq * (ri - two_cut3i * r2 - cut);
                V f = (c12_r6 + c12_r6 - c6) * six * r6i * r2i + qq * (ri * r2i + cut3i);
                f = ONLY(acts, f);
                lj = ONLY(acts, lj);
                crf = ONLY(acts, crf);
                dx *= f;
                dy *= f;
                dz *= f;
                fxi[p] += dx;
                fyi[p] += dy;
                fzi[p] += dz;
                fxj += dx;
                fyj += dy;
                fzj += dz;
                sum_lj += lj;
                sum_crf += crf;
                if (job->group != NULL) {
                    memcpy(lane_lj + p * WIDTH, &lj, sizeof lj);
                    memcpy(lane_crf + p * WIDTH, &crf, sizeof crf);
                }
            }
            STORE4(fx + j0, LOAD4(fx + j0) - SUM4(fxj));
            STORE4(fy + j0, LOAD4(fy + j0) - SUM4(fyj));
            STORE4(fz + j0, LOAD4(fz + j0) - SUM4(fzj));
            for (size_t k = 0; job->group != NULL && k < 16; k++) {
                size_t pair = (size_t)job->group[i0 + k / 4] * job->num_groups + (size_t)job->group[j0 + k % 4];
                job->lj[pair] += (double)lane_lj[k];
                job->crf[pair] += (double)lane_crf[k];
            }
        }
        REAL lane[3][16], energy[2][WIDTH];
        memcpy(lane[0], fxi, sizeof lane[0]);
        memcpy(lane[1], fyi, sizeof lane[1]);
        memcpy(lane[2], fzi, sizeof lane[2]);
        memcpy(energy[0], &sum_lj, sizeof energy[0]);
        memcpy(energy[1], &sum_crf, sizeof energy[1]);
        for (size_t a = 0; a < 4; a++) {
            REAL part[3];
            for (int d = 0; d < 3; d++) {
                part[d] = (lane[d][4 * a] + lane[d][4 * a + 1]) + (lane[d][4 * a + 2] + lane[d][4 * a + 3]);
                job->shift_force[row->shift][d] += (double)part[d];
            }
            fx[i0 + a] += part[0];
            fy[i0 + a] += part[1];
            fz[i0 + a] += part[2];
        }
        for (int l = 0; l < WIDTH; l++) {
            total_lj += (double)energy[0][l];
            total_crf += (double)energy[1][l];
        }
    }
    if (job->group == NULL) {
        job->lj[0] += total_lj;
        job->crf[0] += total_crf;
    }
}

#undef PARTS
#undef REAL
#undef NAME
#undef WIDTH
#undef V
#undef V4
#undef MASK
#undef SET1
#undef REPEAT
#undef SPREAD
#undef ROWS
#undef CHOSEN
#undef WITHIN
#undef KEEP
#undef ONLY
#undef RSQRT
#undef SUM4
#undef LOAD4
#undef STORE4
