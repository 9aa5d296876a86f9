"""Golden errors for GPTQ, SparseGPT, Wanda and magnitude pruning, from a plain PyTorch float64 implementation.

usage: python gptq.py > compress/testdata/gptq.json

Needs torch and numpy. Column by column, without blocks of updates: the papers' algorithms (arXiv 2210.17323, 2301.00774,
2306.11695) as their authors' code has them, on weights and second moments that the Go test generates alike. What is
recorded is tr(ΔW H ΔWᵀ) / tr(W H Wᵀ), with H before damping. Scales of integer groups are searched as finch does it
(compress/intgroup.go), each error weighed by 1/U[j][j]² for GPTQ; "minmax" is GPTQ's own grid from the smallest to the largest weight.
"""
import json
import math
import sys

import numpy as np
import torch

from quantize import gaussian

ROWS, COLS, FACTORS, DAMP = 48, 320, 8, 0.01


def weights() -> torch.Tensor:
    """The set "heavy" of quantize.py."""
    n = ROWS * COLS
    a, b, c, d = (gaussian(seed, n) for seed in (3, 4, 5, 6))
    w = 0.02 * gaussian(2, n) / np.sqrt((a * a + b * b + c * c + d * d) / 4)
    return torch.from_numpy(w.astype(np.float32).astype(np.float64).reshape(ROWS, COLS))


def moments(dead: bool) -> torch.Tensor:
    """testStatistics of compress/statistics_test.go; dead inputs, and the copies of others, make it singular."""
    loadings = gaussian(21, COLS * FACTORS).reshape(COLS, FACTORS)
    sizes = np.exp(gaussian(22, COLS) / 2)
    h = (loadings @ loadings.T / 4 + np.eye(COLS)) * np.outer(sizes, sizes)
    if dead:
        for i in range(0, COLS, 40):
            h[i], h[:, i] = 0, 0
            h[i + 2], h[:, i + 2] = h[i + 1], h[:, i + 1]
            h[i + 2, i + 2] = h[i + 1, i + 1]
    return torch.from_numpy(h)


def inverse_factor(h: torch.Tensor) -> torch.Tensor:
    """U, upper triangular with H⁻¹ = UᵀU, of the damped H."""
    h = h.clone()
    mean = torch.diag(h)[torch.diag(h) > 0].mean()
    for i in range(len(h)):
        if h[i, i] == 0:
            h[i, i] = mean
    h += DAMP * mean * torch.eye(len(h), dtype=h.dtype)
    return torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)


def half(x: float) -> float:
    return float(np.float16(np.float32(x)))


def minmax_grid(x: np.ndarray, bits: int, symmetric: bool) -> tuple[float, float]:
    low, high, top = min(x.min(), 0), max(x.max(), 0), 2**bits - 1
    if symmetric:
        return half(2 * max(-low, high) / top), 2 ** (bits - 1)
    scale = half((high - low) / top)
    return scale, round(-low / scale)


def nearest(x: np.ndarray, scale: float, zero: float, top: int) -> np.ndarray:
    return scale * (np.clip(np.rint(x / scale + zero), 0, top) - zero) if scale else 0 * x


def searched_grid(x: np.ndarray, bits: int, symmetric: bool, weight: np.ndarray) -> tuple[float, float]:
    """The scale and zero point of least weighted squared error of ten widths, the best one's scale solved once more."""
    low, high, top = min(x.min(), 0), max(x.max(), 0), 2**bits - 1
    if symmetric:
        zeros, step = [2 ** (bits - 1)], -(high if high > -low else low) / 2 ** (bits - 1)
    else:
        step = (high - low) / top
        zero = round(-low / step)
        zeros = [z for z in (zero - 1, zero, zero + 1) if 0 <= z <= top]
    best, least = (0.0, zeros[0]), math.inf
    for i in range(10):
        for zero in zeros:
            scale = half(step * (1 - 0.45 * i / 9))
            error = (weight * (x - nearest(x, scale, zero, top)) ** 2).sum()
            if error < least:
                best, least = (scale, zero), error
    scale, zero = best
    q = np.clip(np.rint(x / scale + zero), 0, top) - zero
    scale = half((weight * q * x).sum() / (weight * q * q).sum())
    return (scale, zero) if (weight * (x - nearest(x, scale, zero, top)) ** 2).sum() < least else best


def gptq(w, h, group, grid, top, order=None):
    rows, cols = w.shape
    order = list(range(cols)) if order is None else order
    static = order != list(range(cols))
    u = inverse_factor(h[order][:, order])
    importance = np.empty(cols)
    importance[order] = 1 / torch.diag(u).numpy() ** 2
    original, w = w.numpy(), w.clone()[:, order]
    w[:, torch.diag(h)[order] == 0] = 0
    grids = {}
    for r in range(rows):
        for g in range(0, cols, group):
            if static:
                grids[r, g] = grid(original[r, g : g + group], importance[g : g + group])
    out = torch.zeros_like(w)
    for i, column in enumerate(order):
        g = column // group * group
        if not static and column == g:
            for r in range(rows):
                grids[r, g] = grid(w[r, g : g + group].numpy(), importance[g : g + group])
        for r in range(rows):
            scale, zero = grids[r, g]
            out[r, i] = float(nearest(w[r, i].numpy(), scale, zero, top))
        error = (w[:, i] - out[:, i]) / u[i, i]
        w[:, i:] -= torch.outer(error, u[i, i:])
    back = torch.empty_like(out)
    back[:, order] = out
    return back


def round_to_nearest(w, group, grid, top):
    out = w.clone().numpy()
    for r in range(ROWS):
        for g in range(0, COLS, group):
            out[r, g : g + group] = nearest(out[r, g : g + group], *grid(out[r, g : g + group], np.ones(group)), top)
    return torch.from_numpy(out)


def sparsegpt(w, h, share=None, pattern=None, block=128):
    rows, cols = w.shape
    u = inverse_factor(h)
    w = w.clone()
    w[:, torch.diag(h) == 0] = 0
    total, mask = round((share or 0) * rows * cols), torch.zeros_like(w, dtype=torch.bool)
    for i in range(cols):
        if pattern and i % pattern[1] == 0:
            scores = (w[:, i : i + pattern[1]] / torch.diag(u)[i : i + pattern[1]]) ** 2
            mask[:, i : i + pattern[1]].scatter_(1, scores.argsort(dim=1)[:, : pattern[1] - pattern[0]], True)
        if share is not None and i % block == 0:
            end = min(i + block, cols)
            n = total * end // cols - total * i // cols
            scores = ((w[:, i:end] / torch.diag(u)[i:end]) ** 2).flatten()
            chosen = torch.zeros_like(scores, dtype=torch.bool)
            chosen[scores.argsort()[:n]] = True
            mask[:, i:end] = chosen.reshape(rows, end - i)
        error = torch.where(mask[:, i], w[:, i] / u[i, i], 0.0)
        w[:, i + 1 :] -= torch.outer(error, u[i, i + 1 :])
        w[mask[:, i], i] = 0
    return w


def wanda(w, h, share):
    scores = w.abs() * torch.diag(h).sqrt()
    out = w.clone()
    out.scatter_(1, scores.argsort(dim=1)[:, : round(share * COLS)], 0.0)
    return out


def magnitude(w, share):
    out = w.clone().flatten()
    out[out.abs().argsort()[: round(share * ROWS * COLS)]] = 0
    return out.reshape(ROWS, COLS)


def relative_error(w, out, h):
    d = w - out
    return float(((d @ h) * d).sum() / ((w @ h) * w).sum())


def main() -> None:
    w = weights()
    errors = {}
    for name, dead in (("correlated", False), ("singular", True)):
        h = moments(dead)
        by_activation = sorted(range(COLS), key=lambda i: -h[i, i].item())
        e = errors[name] = {}
        for bits, group, symmetric in ((2, 32, False), (3, 64, False), (4, 64, True)):
            level, top = f"int{bits}-g{group}" + ("-sym" if symmetric else ""), 2**bits - 1
            searched = lambda x, weight: searched_grid(x, bits, symmetric, weight)
            minmax = lambda x, weight: minmax_grid(x, bits, symmetric)
            e[level] = relative_error(w, round_to_nearest(w, group, searched, top), h)
            e["gptq-" + level] = relative_error(w, gptq(w, h, group, searched, top), h)
            e["minmax " + level] = relative_error(w, gptq(w, h, group, minmax, top), h)
            e["gptq-" + level + "-act"] = relative_error(w, gptq(w, h, group, searched, top, by_activation), h)
        for share in (0.5, 0.6):
            e[f"sparse-{share:.2f}+f32"] = relative_error(w, magnitude(w, share), h)
            e[f"wanda-{share:.2f}+f32"] = relative_error(w, wanda(w, h, share), h)
            e[f"sparsegpt-{share:.2f}+f32"] = relative_error(w, sparsegpt(w, h, share), h)
        for pattern in ((2, 4), (4, 8)):
            e[f"sparsegpt-{pattern[0]}:{pattern[1]}+f32"] = relative_error(w, sparsegpt(w, h, pattern=pattern), h)
    json.dump({"rows": ROWS, "cols": COLS, "errors": errors}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
