"""Muon against torch's own and against singular values, in both number formats."""

import pytest
import torch

from sdkit.models import hardware
from sdkit.recipes import muon


@pytest.fixture(params=[True, False], ids=["bf16", "float32"])
def native(request, monkeypatch):
    """Whether the device is said to multiply bfloat16."""
    monkeypatch.setattr(hardware, "bf16_is_native", lambda device="cpu": request.param)
    return request.param


class Products(torch.utils._python_dispatch.TorchDispatchMode):
    """Notes the number format of every matrix product."""

    def __init__(self):
        super().__init__()
        self.formats = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.bmm):
            self.formats.add(args[0].dtype)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("shape", [(20, 30), (4, 30, 20)])
def test_the_iteration_multiplies_in_bfloat16_only_where_that_is_native(native, shape):
    matrix = torch.randn(shape)
    with Products() as seen:
        result = muon.orthogonal(matrix)
    assert seen.formats == {torch.bfloat16 if native else torch.float32}
    assert result.dtype == matrix.dtype and result.shape == matrix.shape


@pytest.mark.parametrize("shape", [(20, 30), (30, 20)])
def test_both_number_formats_give_the_same_direction(monkeypatch, shape):
    matrix, made = torch.randn(shape, generator=torch.Generator().manual_seed(0)), []
    for native in (True, False):
        monkeypatch.setattr(hardware, "bf16_is_native", lambda device, native=native: native)
        made.append(muon.orthogonal(matrix))
    # measured: cosine 0.9999
    assert torch.nn.functional.cosine_similarity(*(x.flatten() for x in made), dim=0) > 0.999


@pytest.mark.parametrize("shape", [(30, 20), (20, 30)])
def test_a_step_keeps_the_singular_vectors_and_evens_the_singular_values(native, shape):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(shape, generator=generator)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    matrix = left @ torch.diag(torch.logspace(0, 1, len(values))) @ right
    made = left.T @ muon.orthogonal(matrix) @ right.T
    assert (made - made.diag().diag()).abs().max() < (0.1 if native else 1e-3)
    assert 0.6 < made.diag().min() <= made.diag().max() < 1.25


def test_the_values_follow_the_quintic_of_the_paper(monkeypatch):
    """Each singular value s of the scaled matrix becomes a s + b s^3 + c s^5, five times."""
    monkeypatch.setattr(hardware, "bf16_is_native", lambda device: False)
    matrix = torch.randn(12, 16, generator=torch.Generator().manual_seed(1))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    values = values / matrix.norm()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    torch.testing.assert_close(
        muon.orthogonal(matrix), left @ values.diag() @ right, atol=1e-4, rtol=0
    )


def test_muon_takes_the_steps_of_torch_for_matrices_and_of_adamw_for_the_rest():
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(16, 24, 3),
        torch.nn.Linear(40, 20),
        torch.nn.Linear(40, 20),
        torch.nn.Linear(20, 3),
    )
    copy = [
        torch.nn.Parameter((p.flatten(1) if p.ndim > 1 else p).detach().clone())
        for p in network.parameters()
    ]
    matrices, others = muon.split(network)
    assert [tuple(p.shape) for p in matrices] == [(24, 16, 3, 3), (20, 40), (20, 40)]
    assert len(others) == 5
    optimizers = [
        muon.Muon(matrices, others, 0.02, weight_decay=2.0),
        torch.optim.Muon(
            [copy[0], copy[2], copy[4]], 0.02, weight_decay=2.0, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(
            [copy[1], copy[3], *copy[5:]], 0.005, betas=(0.9, 0.99), weight_decay=2.0
        ),
    ]
    for _ in range(4):
        for p, q in zip(network.parameters(), copy):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.view(q.shape).clone()
        for optimizer in optimizers:
            optimizer.step()
    for p, q in zip(network.parameters(), copy):  # torch iterates in bf16
        torch.testing.assert_close(
            p.flatten(1) if p.ndim > 1 else p, q, atol=2e-3 if p.ndim > 1 else 1e-6, rtol=0
        )
