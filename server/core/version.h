/* The one place for the daemon's version; the Python package has the same (a test compares them). */
#ifndef GD_CORE_VERSION_H
#define GD_CORE_VERSION_H
#define GD_VERSION "0.1.0"
#endif
