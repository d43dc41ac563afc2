/**
 * The peers: Optuna, and Ray Tune where its Python is named. Reads one JSON line per task, answers one each. A study stops once it has
 * trained as many epochs as it may.
 */
export const PEER_PROGRAM = `
import json, math, os, sys, tempfile, time, warnings
warnings.simplefilter("ignore")
which = sys.argv[1]
MAX_EPOCHS = 27

def branin(p, epoch):
    x, y = p["x"], p["y"]
    b, c, t = 5.1 / (4 * math.pi ** 2), 5 / math.pi, 1 / (8 * math.pi)
    return -((y - b * x ** 2 + c * x - 6) ** 2 + 10 * (1 - t) * math.cos(x) + 10)

def training(p, epoch):
    rate = math.log10(p["rate"])
    loss = {"a": 0.1, "b": 4 * (p.get("margin", 0) - 0.3) ** 2 * 0.1, "c": 0.04}[p["loss"]]
    apart = 0.05 * (rate + 2) ** 2 + 0.3 * (p["dropout"] - 0.25) ** 2 + 0.02 * math.log2(p["width"] / 128) ** 2 + loss
    speed = 0.05 + 0.4 / (1 + math.exp(-(rate + 2)))
    return 0.9 * math.exp(-apart) * (1 - math.exp(-speed * epoch))

VALUES = {"branin": branin, "training": training}

def answer(value):
    print("@" + json.dumps(value), flush=True)

if which == "optuna":
    import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    answer({"python": sys.version.split()[0], "optuna": optuna.__version__})

    def params_of(trial, objective):
        if objective == "branin":
            return {"x": trial.suggest_float("x", -5, 10), "y": trial.suggest_float("y", 0, 15)}
        p = {"rate": trial.suggest_float("rate", 1e-5, 1, log=True), "dropout": trial.suggest_float("dropout", 0, 0.9),
             "width": trial.suggest_int("width", 8, 512, log=True), "loss": trial.suggest_categorical("loss", ["a", "b", "c"])}
        if p["loss"] == "b":
            p["margin"] = trial.suggest_float("margin", 0, 1)
        return p

    def study_of(task, storage=None):
        samplers = {"random": lambda: optuna.samplers.RandomSampler(seed=task["seed"]),
                    "tpe": lambda: optuna.samplers.TPESampler(seed=task["seed"]),
                    "tpe joint": lambda: optuna.samplers.TPESampler(seed=task["seed"], multivariate=True, group=True)}
        pruners = {"none": optuna.pruners.NopPruner, "medianStop": optuna.pruners.MedianPruner,
                   "asha": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
                   "hyperband": lambda: optuna.pruners.HyperbandPruner(1, MAX_EPOCHS, 3)}
        return optuna.create_study(direction="maximize", sampler=samplers[task["search"]](), pruner=pruners[task["scheduler"]](), storage=storage)

    for line in sys.stdin:
        task = json.loads(line)
        value = VALUES[task.get("objective", "branin")]
        if task["do"] == "check":
            answer([value(p, e) for p, e in task["points"]])
        elif task["do"] == "search":
            study, epochs, best, curve = study_of(task), 0, -math.inf, []
            while epochs < task["budget"]:
                trial = study.ask()
                p = params_of(trial, task["objective"])
                reached, pruned = -math.inf, False
                for epoch in range(1, MAX_EPOCHS + 1):
                    if epochs >= task["budget"]: break
                    epochs += 1
                    reached = value(p, epoch)
                    best = max(best, reached)
                    trial.report(reached, epoch)
                    if epoch < MAX_EPOCHS and trial.should_prune():
                        pruned = True
                        break
                study.tell(trial, None if pruned else reached, optuna.trial.TrialState.PRUNED if pruned else None)
            answer({"best": best, "trials": len(study.trials)})
        else:
            path = tempfile.mktemp(suffix=".db")
            study = study_of({"seed": 1, "search": "random", "scheduler": "none"}, "sqlite:///" + path if task["durable"] else None)
            started = time.perf_counter()
            for _ in range(task["trials"]):
                trial = study.ask()
                params_of(trial, "training")
                study.tell(trial, 1.0)
            answer({"seconds": time.perf_counter() - started})
            if task["durable"]: os.remove(path)
else:
    os.environ.update(RAY_AIR_NEW_OUTPUT="0", TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1", TUNE_MAX_PENDING_TRIALS_PG="1", RAY_DEDUP_LOGS="0")
    import logging
    import ray
    from ray import tune
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    answer({"python": sys.version.split()[0], "ray": ray.__version__})
    SPACES = {"branin": {"x": tune.uniform(-5, 10), "y": tune.uniform(0, 15)},
              "training": {"rate": tune.loguniform(1e-5, 1), "dropout": tune.uniform(0, 0.9), "width": tune.lograndint(8, 513),
                           "loss": tune.choice(["a", "b", "c"]), "margin": tune.uniform(0, 1)}}
    for line in sys.stdin:
        task = json.loads(line)
        def trainable(config):
            tune.report({"value": 1.0})
        started = time.perf_counter()
        tuner = tune.Tuner(tune.with_resources(trainable, {"cpu": 2 / task["concurrency"]}), param_space=SPACES["training"],
            tune_config=tune.TuneConfig(metric="value", mode="max", num_samples=task["trials"], max_concurrent_trials=task["concurrency"], reuse_actors=True),
            run_config=tune.RunConfig(verbose=0, storage_path=tempfile.mkdtemp()))
        results = tuner.fit()
        answer({"seconds": time.perf_counter() - started, "trials": len(results)})
`;
