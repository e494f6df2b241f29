"""Many GANs at once: the same as each of them alone, in a plain loop with torch's own layers."""

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from sdkit import gans
from sdkit.toy.points import RING

PAIRS, BATCH, UPDATES = 3, 16, 12


def players(pairs=PAIRS, seed=0):
    torch.manual_seed(seed)
    return gans.mlp(pairs, 2, 8, 2), gans.mlp(pairs, 2, 8, 1)


def alone(net, k):
    """Pair k's network, of torch's own layers."""
    layers = []
    for layer in net:
        if isinstance(layer, gans.Linear):
            plain = nn.Linear(*layer.weight.shape[1:])
            plain.weight.data, plain.bias.data = layer.weight[k].T.clone(), layer.bias[k, 0].clone()
            layers.append(plain)
        else:
            layers.append(layer)
    return nn.Sequential(*layers)


def generator():
    return torch.Generator().manual_seed(7)


def plain_loop(G, D, k, lr_G=1e-3, lr_D=1e-3, D_steps=1):
    """The game as in any tutorial, on the draws that pair k of PAIRS gets; returns G after UPDATES."""
    draw = generator()
    adam_G, adam_D = (
        torch.optim.Adam(net.parameters(), lr, (0.5, 0.999)) for net, lr in ((G, lr_G), (D, lr_D))
    )
    for _ in range(UPDATES):
        for _ in range(D_steps):
            real = RING.sample(PAIRS * BATCH, draw).reshape(PAIRS, BATCH, 2)[k]
            fake = G(torch.randn(PAIRS, BATCH, 2, generator=draw)[k])
            loss = cross_entropy(D(real), torch.ones(BATCH, 1)) + cross_entropy(
                D(fake.detach()), torch.zeros(BATCH, 1)
            )
            adam_D.zero_grad()
            loss.backward()
            adam_D.step()
        adam_G.zero_grad()
        cross_entropy(D(fake), torch.ones(BATCH, 1)).backward()
        adam_G.step()
    return G


def assert_same(net, plain, k):
    layers = [layer for layer in net if isinstance(layer, gans.Linear)]
    for ours, theirs in zip(
        layers, (layer for layer in plain if isinstance(layer, nn.Linear)), strict=True
    ):
        torch.testing.assert_close(ours.weight[k].T, theirs.weight, atol=1e-5, rtol=0)
        torch.testing.assert_close(ours.bias[k, 0], theirs.bias, atol=1e-5, rtol=0)


@pytest.mark.parametrize("D_steps", [1, 3])
def test_three_games_at_once_are_three_games(D_steps):
    G, D = players()
    plain = [plain_loop(alone(G, k), alone(D, k), k, D_steps=D_steps) for k in range(PAIRS)]
    start = G[0].weight.detach().clone()
    seen = list(gans.play(G, D, RING.sample, UPDATES, generator(), batch=BATCH, D_steps=D_steps))
    assert seen == list(range(1, UPDATES + 1))
    # it has moved a good deal further than the tolerance
    assert (G[0].weight - start).abs().max() > 0.005
    for k in range(PAIRS):
        assert_same(G, plain[k], k)


def test_each_pair_learns_at_its_own_rate():
    G, D = players()
    lr_G, lr_D = torch.tensor([0.0, 1e-3, 1e-2]), torch.tensor([3e-3, 1e-3, 1e-4])
    before = alone(G, 0)
    plain = [
        plain_loop(alone(G, k), alone(D, k), k, float(lr_G[k]), float(lr_D[k])) for k in (1, 2)
    ]
    list(gans.play(G, D, RING.sample, UPDATES, generator(), lr_G, lr_D, batch=BATCH))
    assert_same(G, before, 0)
    assert_same(G, plain[0], 1)
    assert_same(G, plain[1], 2)


@pytest.mark.parametrize("shape", [(3,), (3, 1, 1)])
def test_a_rate_for_each_pair_fits_parameters_of_any_shape(shape):
    """torch.func stacks biases as (K, n), `gans.Linear` has (K, 1, n): each pair moves at its own rate in both."""
    rates = torch.tensor([0.0, 1e-3, 1e-2])
    net = nn.ParameterList(
        [torch.zeros(3, 4, 5), torch.zeros(3, 1, 5), torch.zeros(3, 5), torch.zeros(3)]
    )
    gans.Player(net, rates.reshape(shape)).move(sum(p.reshape(3, -1).sum(1) for p in net))
    for p in net:  # Adam's first step is one learning rate long, against the slope
        torch.testing.assert_close(p.data, -rates.reshape(-1, *[1] * (p.dim() - 1)).expand_as(p))


def test_layers_start_as_those_of_torch_do():
    torch.manual_seed(0)
    ours, theirs = gans.Linear(50, 16, 30), nn.Linear(16, 30)
    for a, b in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        assert a.abs().max() <= 0.25 and a.std().item() == pytest.approx(0.25 / 3**0.5, rel=0.03)
        assert b.abs().max() <= 0.25
