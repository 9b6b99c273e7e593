/* A slow disk that forgets: how much of each log segment was asked to be kept, for whoever cuts off the rest when the process has died.
 *
 * Preloaded into the server. fsync(2) and fdatasync(2) of a file that ends in ".seg" take $HIWAR_SYNC_MS longer. When they have succeeded, the file's
 * length as it was before the call is written to FOLDER/NAME, where FOLDER is $HIWAR_SYNCED and NAME the file's path with "/" as "!". */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int keep(int fd, const char *which) {
    int (*really)(int) = (int (*)(int))dlsym(RTLD_NEXT, which);
    struct stat before;
    int known = fstat(fd, &before) == 0;
    const char *folder = getenv("HIWAR_SYNCED"), *slow = getenv("HIWAR_SYNC_MS");
    char link[64], path[PATH_MAX], note[2 * PATH_MAX], text[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    int segment = length >= 4 && memcmp(path + length - 4, ".seg", 4) == 0;
    if (segment && slow)
        usleep(1000 * atoi(slow));
    int done = really(fd);
    if (done != 0 || !known || !folder || !segment)
        return done;
    path[length] = 0;
    for (char *at = path; *at; at++)
        if (*at == '/')
            *at = '!';
    snprintf(note, sizeof note, "%s/%s", folder, path);
    int to = open(note, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to >= 0) {
        int count = snprintf(text, sizeof text, "%lld", (long long)before.st_size);
        if (write(to, text, count) != count)
            abort();
        close(to);
    }
    return done;
}

int fsync(int fd) { return keep(fd, "fsync"); }
int fdatasync(int fd) { return keep(fd, "fdatasync"); }
