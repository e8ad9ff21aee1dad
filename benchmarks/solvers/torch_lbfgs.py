"""PyTorch: L-BFGS with its strong Wolfe line search, all rows at once."""

import torch

from benchmarks.solvers import ANY_CLASSES, ITERATIONS, threads

TITLE = "PyTorch L-BFGS"
PACKAGE = "torch"
TAKES = ANY_CLASSES | {"l2"}
BUDGETS = ITERATIONS


def loss_of(K):
    """The mean log-loss of scores (n, K), or (n, 1) for two classes."""
    if K > 2:
        return torch.nn.functional.cross_entropy
    binary = torch.nn.functional.binary_cross_entropy_with_logits
    return lambda Z, y: binary(Z[:, 0], y.to(Z.dtype))


def prepare(problem):
    torch.set_num_threads(threads())
    X, y, K = torch.from_numpy(problem.X), torch.from_numpy(problem.y), problem.n_classes
    loss = loss_of(K)

    def fit(n_iter):
        model = torch.nn.Linear(X.shape[1], 1 if K == 2 else K, dtype=X.dtype)
        for parameter in model.parameters():
            torch.nn.init.zeros_(parameter)
        descent = torch.optim.LBFGS(
            model.parameters(), max_iter=n_iter, max_eval=10 * n_iter, tolerance_grad=0, tolerance_change=0,
            line_search_fn="strong_wolfe",
        )  # fmt: skip

        def closure():
            descent.zero_grad()
            value = loss(model(X), y) + problem.alpha / 2 * model.weight.square().sum()
            value.backward()
            return value

        descent.step(closure)
        return model.weight.detach().numpy(), model.bias.detach().numpy()

    return fit
