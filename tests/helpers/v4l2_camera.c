/* A V4L2 camera for LD_PRELOAD: /dev/video77 sends YUYV of 640 x 480 at 30 frames a second, so that OpenCV's
 * own code runs against it. Its driver paints a frame 0xEE when it begins to fill a buffer.
 * SILENT_AFTER: frames of the first opening after which none comes; PADDING: bytes behind each row; LACKS: the id of
 * a control that it does not have; BUSY: a control that it refuses; BLUE: its frames are blue; GREY: it has no color. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NODE "/dev/video77"
#define REAL(name) __typeof__(name) *real = dlsym(RTLD_NEXT, #name)
enum { WIDTH = 640, HEIGHT = 480, BUFFERS = 8, READ_WRITE = PROT_READ | PROT_WRITE };

static int camera = -1, guest = -1; /* descriptors: of who streams, of who only asks */
static int queue[BUFFERS], queued, streaming, openings, frames;
static unsigned char *memory[BUFFERS];

static int set(const char *name) { return getenv(name) ? atoi(getenv(name)) : 0; }
static int row(void) { return (set("GREY") ? 1 : 2) * WIDTH + set("PADDING"); }
static int is_node(const char *path) { return path && !strcmp(path, NODE); }
static void driver_begins(void) { if (streaming && queued) memset(memory[queue[0]], 0xEE, row() * HEIGHT); }

static int opened(void) {
    struct itimerspec period = {{0, 33333333}, {0, 33333333}};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (camera >= 0) return guest = timer;
    timerfd_settime(timer, 0, &period, 0);
    frames = 0;
    openings++;
    return camera = timer;
}

#define OPEN(name) int name(const char *path, int flags, ...) { \
    va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); \
    REAL(name); return is_node(path) ? opened() : real(path, flags, mode); }
OPEN(open) OPEN(open64)

struct stat;
#define STAT(name) int name(const char *path, struct stat *about) { \
    int (*real)(const char *, struct stat *) = dlsym(RTLD_NEXT, #name); \
    return real(is_node(path) ? "/dev/zero" : path, about); }
STAT(stat) STAT(stat64)

int close(int fd) {
    REAL(close);
    if (fd >= 0 && fd == camera) { camera = -1; streaming = queued = 0; }
    if (fd >= 0 && fd == guest) guest = -1;
    return real(fd);
}

#define MMAP(name, type) void *name(void *at, size_t bytes, int access, int flags, int fd, type offset) { \
    REAL(name); \
    if (fd < 0 || fd != camera) return real(at, bytes, access, flags, fd, offset); \
    return memory[offset / (row() * HEIGHT)] = real(0, bytes, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); }
MMAP(mmap, off_t) MMAP(mmap64, off64_t)

static int refused(int code) { errno = code; return -1; }

static int dequeue(struct v4l2_buffer *buffer) {
    unsigned long long ticks;
    struct itimerspec never = {{0, 0}, {0, 0}};
    struct timespec now;
    if (set("SILENT_AFTER") && openings == 1 && frames >= set("SILENT_AFTER")) {
        timerfd_settime(camera, 0, &never, 0);
        return refused(EAGAIN);
    }
    if (!queued || read(camera, &ticks, sizeof ticks) < 0) return refused(EAGAIN);
    int taken = queue[0];
    memmove(queue, queue + 1, --queued * sizeof *queue);
    frames++;
    for (int i = 0, end = row() * HEIGHT; i < end; i++)
        memory[taken][i] = ((i * 2654435761u >> 13) + frames * 7) & 0x7f; /* no two frames are equal */
    if (set("BLUE"))
        for (int i = 1, end = row() * HEIGHT; i < end; i += 2) memory[taken][i] = i % 4 == 1 ? 240 : 110; /* U, V */
    driver_begins();
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long us = now.tv_sec * 1000000LL + now.tv_nsec / 1000 - 20000; /* the frame began 20 ms ago */
    buffer->index = taken;
    buffer->length = buffer->bytesused = row() * HEIGHT;
    buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    buffer->timestamp.tv_sec = us / 1000000;
    buffer->timestamp.tv_usec = us % 1000000;
    return 0;
}

static int format(struct v4l2_format *about) {
    if (about->type != V4L2_BUF_TYPE_VIDEO_CAPTURE) return refused(EINVAL);
    memset(&about->fmt, 0, sizeof about->fmt);
    about->fmt.pix.width = WIDTH;
    about->fmt.pix.height = HEIGHT;
    about->fmt.pix.pixelformat = set("GREY") ? V4L2_PIX_FMT_GREY : V4L2_PIX_FMT_YUYV;
    about->fmt.pix.bytesperline = row();
    about->fmt.pix.sizeimage = row() * HEIGHT;
    return 0;
}

static int control(struct v4l2_control *asked, int write) {
    static struct v4l2_control kept[] = {{V4L2_CID_EXPOSURE_AUTO, 3}, {V4L2_CID_EXPOSURE_ABSOLUTE, 0},
        {V4L2_CID_AUTOGAIN, 1}, {V4L2_CID_GAIN, 0}, {V4L2_CID_POWER_LINE_FREQUENCY, 3}};
    if (asked->id == (unsigned)set("LACKS")) return refused(EINVAL);
    if (write && asked->id == (unsigned)set("BUSY")) return refused(EBUSY);
    if (write && asked->id == V4L2_CID_EXPOSURE_AUTO && asked->value == 0) return refused(EINVAL); /* as UVC */
    for (unsigned i = 0; i < sizeof kept / sizeof *kept; i++) {
        if (kept[i].id != asked->id) continue;
        if (write) kept[i].value = asked->value;
        asked->value = kept[i].value;
        return 0;
    }
    return refused(EINVAL);
}

static int answered(unsigned long request, void *about) {
    struct v4l2_capability *can = about;
    struct v4l2_buffer *buffer = about;
    struct v4l2_streamparm *rate = about;
    switch (request & 0xffffffff) {
    case VIDIOC_QUERYCAP:
        memset(can, 0, sizeof *can);
        can->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        can->capabilities = can->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    case VIDIOC_ENUMINPUT: return ((struct v4l2_input *)about)->index ? refused(EINVAL) : 0;
    case VIDIOC_G_INPUT: case VIDIOC_S_INPUT: *(int *)about = 0; return 0;
    case VIDIOC_G_FMT: case VIDIOC_S_FMT: case VIDIOC_TRY_FMT: return format(about);
    case VIDIOC_G_PARM: case VIDIOC_S_PARM:
        rate->parm.capture.timeperframe.numerator = 1;
        rate->parm.capture.timeperframe.denominator = 30;
        return 0;
    case VIDIOC_REQBUFS: queued = 0; return 0;
    case VIDIOC_QUERYBUF:
        buffer->length = row() * HEIGHT;
        buffer->m.offset = buffer->index * buffer->length;
        return 0;
    case VIDIOC_QBUF:
        queue[queued++] = buffer->index;
        if (queued == 1) driver_begins();
        return 0;
    case VIDIOC_STREAMON: streaming = 1; driver_begins(); return 0;
    case VIDIOC_STREAMOFF: streaming = queued = 0; return 0;
    case VIDIOC_DQBUF: return dequeue(about);
    case VIDIOC_G_CTRL: return control(about, 0);
    case VIDIOC_S_CTRL: return control(about, 1);
    }
    return refused(EINVAL);
}

int ioctl(int fd, unsigned long request, ...) {
    va_list more;
    va_start(more, request);
    void *about = va_arg(more, void *);
    va_end(more);
    REAL(ioctl);
    return fd >= 0 && (fd == camera || fd == guest) ? answered(request, about) : real(fd, request, about);
}
