/**
 * PyTorch's elastic launcher (torchrun): the same head over gloo, two workers, a checkpoint every so many steps. Rank 0 prints
 * `step N` after each step and every worker its process number. After a loss all workers are started again and resume.
 */
export const TORCHRUN_PROGRAM = `
import json, os, sys
import torch, torch.distributed as dist, torch.nn as nn, torch.nn.functional as F
request = json.loads(sys.argv[1])
torch.set_num_threads(1)
rank = int(os.environ["RANK"])
# In one piece: the launcher gives all workers one output, and no buffer.
tell = lambda line: os.write(1, (line + "\\n").encode())
tell(f"worker {rank} {os.getpid()}")
dist.init_process_group("gloo")
torch.manual_seed(1)

class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.projection = nn.Linear(request["features"], request["dim"])
        self.proxies = nn.Parameter(torch.randn(request["labels"], request["dim"]))
    def forward(self, x):
        return F.normalize(self.projection(x)) @ F.normalize(self.proxies).t()

model = nn.parallel.DistributedDataParallel(Head())
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
step, path = 0, request["checkpoint"]
if os.path.exists(path):
    saved = torch.load(path)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    step = saved["step"]
rows = request["batch"] // dist.get_world_size()
x, y = torch.randn(rows, request["features"]), torch.randint(0, request["labels"], (rows,))
while True:
    optimizer.zero_grad(set_to_none=True)
    F.cross_entropy(16 * model(x), y).backward()
    optimizer.step()
    step += 1
    if rank == 0:
        if step % request["every"] == 0:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, path + ".new")
            os.replace(path + ".new", path)
        tell(f"step {step}")
`;

/**
 * torchrun itself. From Python 3.11 on a loop over flags leaves the one of value 0 out, without which PyTorch 1.13 as Debian builds it
 * starts no worker: it is looked up by its value instead.
 */
export const TORCHRUN = `
from torch.distributed.elastic.multiprocessing.api import Std
Std.from_str = classmethod(lambda cls, words: cls(int(words)))
from torch.distributed.run import main
main()
`;
