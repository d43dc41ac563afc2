/**
 * PyTorch's DistributedDataParallel over gloo, as one would write it: the same model, loss, batch and optimiser, one process per replica
 * with one thread each, on this machine. Takes its settings as JSON in the first argument, prints one line of JSON.
 */
export const DDP_PROGRAM = `
import json, os, sys, time
import torch, torch.distributed as dist, torch.nn as nn, torch.nn.functional as F
import torch.multiprocessing as mp

def loopback_bytes():
    with open("/proc/net/dev") as lines:
        for line in lines:
            if line.strip().startswith("lo:"):
                return int(line.split(":")[1].split()[0])
    return 0

class Head(nn.Module):
    def __init__(self, features, dim, labels):
        super().__init__()
        self.projection = nn.Linear(features, dim)
        self.proxies = nn.Parameter(torch.randn(labels, dim))
    def forward(self, x):
        return F.normalize(self.projection(x)) @ F.normalize(self.proxies).t()

def convnet():
    return nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 64), nn.ReLU(), nn.Linear(64, 10))

def run(rank, world, request, results):
    torch.set_num_threads(1)
    torch.manual_seed(request["seed"])
    if world > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(request["port"]))
        dist.init_process_group("gloo", rank=rank, world_size=world)
    is_head = request["model"] == "head"
    model = Head(request["features"], request["dim"], request["labels"]) if is_head else convnet()
    count = sum(p.numel() for p in model.parameters())
    if world > 1:
        model = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    rows = request["batch"] // world
    x = torch.randn(rows, request["features"]) if is_head else torch.randn(rows, 1, 28, 28)
    y = torch.randint(0, request["labels"] if is_head else 10, (rows,))
    def step():
        optimizer.zero_grad(set_to_none=True)
        scores = model(x)
        if is_head:
            scores = (scores - F.one_hot(y, request["labels"]) * request["margin"]) * request["scale"]
        loss = F.cross_entropy(scores, y)
        loss.backward()
        optimizer.step()
        return loss.item()
    for _ in range(request["warmUp"]):
        step()
    if world > 1:
        dist.barrier()
    before, times = loopback_bytes(), []
    start = time.perf_counter()
    for _ in range(request["steps"]):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    if world > 1:
        dist.barrier()
    elapsed = time.perf_counter() - start
    if rank == 0:
        moved = loopback_bytes() - before
        results.put({"world": world, "parameters": count, "stepsPerSecond": request["steps"] / elapsed,
            "medianStepMs": sorted(times)[len(times) // 2] * 1e3, "bytesPerStep": moved / request["steps"]})
    if world > 1:
        dist.destroy_process_group()

if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    results = mp.get_context("spawn").SimpleQueue()
    mp.spawn(run, args=(request["world"], request, results), nprocs=request["world"])
    print(json.dumps({**results.get(), "torch": torch.__version__}))
`;
