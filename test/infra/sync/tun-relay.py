"""A slow, lossy link between two network namespaces, where the kernel has no netem: two TUN devices and this process between them.

Each line on stdin is `delay_ms loss_share rate_bytes_per_second` (rate 0: as fast as it goes; loss 1: cut). Usage: tun-relay.py SEED NS_A NS_B
"""
import fcntl, heapq, os, random, select, struct, subprocess, sys, time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
MAX_WAITING = 1000  # packets in each direction, as in netem


def device(name, namespace, address):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    run = lambda *words: subprocess.run(["ip", *words], check=True)
    run("link", "set", name, "netns", namespace)
    run("-n", namespace, "addr", "add", f"{address}/24", "dev", name)
    run("-n", namespace, "link", "set", name, "up")
    return fd


def main():
    seed, a, b = sys.argv[1:]
    chance = random.Random(int(seed))
    fds = [device(f"{a}-tun", a, "10.77.0.1"), device(f"{b}-tun", b, "10.77.0.2")]
    other = {fds[0]: fds[1], fds[1]: fds[0]}
    free = {fd: 0.0 for fd in fds}
    waiting = {fd: 0 for fd in fds}
    due, count = [], 0
    delay = loss = rate = 0.0
    print("ready", flush=True)
    while True:
        timeout = max(0.0, due[0][0] - time.monotonic()) if due else None
        readable, _, _ = select.select([*fds, sys.stdin], [], [], timeout)
        if sys.stdin in readable:
            line = sys.stdin.readline()
            if not line:
                return
            delay, loss, rate = (float(word) for word in line.split())
            print("set", flush=True)
        now = time.monotonic()
        while due and due[0][0] <= now:
            _, _, fd, packet = heapq.heappop(due)
            waiting[fd] -= 1
            try:
                os.write(fd, packet)
            except OSError:
                pass  # a full queue or a device that is going down: lost, as on any link
        for fd in fds:
            if fd not in readable:
                continue
            packet, to = os.read(fd, 65536), other[fd]
            if chance.random() < loss or waiting[to] >= MAX_WAITING:
                continue
            free[to] = max(free[to], now) + (len(packet) / rate if rate > 0 else 0.0)
            count += 1
            waiting[to] += 1
            heapq.heappush(due, (free[to] + delay / 1000, count, to, packet))


main()
