/* fsync and fdatasync that take FSYNC_DELAY_MS longer, and fail once with EIO when the file FSYNC_FAIL_FILE is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

typedef int (*sync_function)(int);

static int troubled(const char *name, int fd) {
    const char *delay = getenv("FSYNC_DELAY_MS");
    const char *mark = getenv("FSYNC_FAIL_FILE");
    if (delay) usleep(atol(delay) * 1000);
    if (mark && unlink(mark) == 0) {  /* whoever removes it is the one whose disk fails */
        errno = EIO;
        return -1;
    }
    errno = 0;
    return ((sync_function)dlsym(RTLD_NEXT, name))(fd);
}

int fsync(int fd) { return troubled("fsync", fd); }

int fdatasync(int fd) { return troubled("fdatasync", fd); }
