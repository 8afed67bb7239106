/* The grid of one precision; included by grid.h twice. */

struct GD_GRID {
    /* Home points, in the order of the cells. */
    const GD_REAL *home_x, *home_y, *home_z;
    const int32_t *home_id;   /* atom index */
    const uint32_t *home_row; /* which row of the result belongs to it */
    size_t num_home;

    /* All points with their copies, in the order of the cells, padded. */
    const GD_REAL *x, *y, *z;
    const int32_t *id;
    const uint32_t *start; /* [nz][ny][nx] and one more: first point of each cell */
    int32_t nx, ny, nz;
    int32_t reach; /* rows to each side, 1 .. GD_GRID_REACH */
    GD_REAL origin[3];
    GD_REAL width[3];
    GD_REAL inverse_width[3];
    GD_REAL margin; /* covers the rounding of coordinates when they are compared with cell borders */

    GD_REAL cutoff_square;
    int32_t only_higher; /* take a point only when its id is above the home point's; else when it differs */
};
