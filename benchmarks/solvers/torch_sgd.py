"""PyTorch: minibatch SGD with proximal steps of the penalty; of a mapped file a block of rows at a time."""

import torch

from benchmarks.solvers import ANY_CLASSES, BOTH_PENALTIES, EPOCHS, step_size, threads
from benchmarks.solvers.torch_lbfgs import loss_of

TITLE = "PyTorch SGD"
PACKAGE = "torch"
TAKES = BOTH_PENALTIES | ANY_CLASSES | {"mapped"}
BUDGETS = EPOCHS
BATCH = 100
ROWS = 60_000


def prepare(problem):
    torch.set_num_threads(threads())
    units, n, K = problem.units, len(problem.y), problem.n_classes
    eta, y = step_size(problem.X) * units**2, torch.from_numpy(problem.y)
    whole = torch.from_numpy(problem.X) if problem.X.dtype.kind == "f" else None
    dtype, size = torch.float32 if whole is None else whole.dtype, ROWS if whole is None else n

    def fit(epochs):
        torch.manual_seed(0)
        model = torch.nn.Linear(problem.X.shape[1], 1 if K == 2 else K, dtype=dtype)
        for parameter in model.parameters():
            torch.nn.init.zeros_(parameter)
        descent, loss = torch.optim.SGD(model.parameters(), lr=eta), loss_of(K)
        for _ in range(epochs):
            for first in range(0, n, size):
                X = whole if whole is not None else torch.from_numpy(problem.X[first : first + size]) / units
                for rows in torch.randperm(len(X)).split(BATCH):
                    descent.zero_grad()
                    loss(model(X[rows]), y[first + rows]).backward()
                    descent.step()
                    with torch.no_grad():
                        if problem.penalty == "l1":
                            W, cut = model.weight, eta * problem.alpha
                            W.copy_(W.sign() * (W.abs() - cut).clamp_(min=0))
                        else:
                            model.weight /= 1 + eta * problem.alpha
        return model.weight.detach().numpy() / units, model.bias.detach().numpy()

    return fit
