/* fsync and fdatasync that are slow (FSYNC_DELAY_MS), or fail with EIO each Nth time in a process (FSYNC_EIO_EVERY). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int spoilt(void) {
    static long calls = 0;
    const char *delay = getenv("FSYNC_DELAY_MS"), *every = getenv("FSYNC_EIO_EVERY");
    if (delay) usleep(atol(delay) * 1000);
    return every && ++calls % atol(every) == 0;
}

int fsync(int fd) {
    static int (*real)(int) = NULL;
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    if (spoilt()) { errno = EIO; return -1; }
    return real(fd);
}

int fdatasync(int fd) {
    static int (*real)(int) = NULL;
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (spoilt()) { errno = EIO; return -1; }
    return real(fd);
}
