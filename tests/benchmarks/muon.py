"""Training samples per second of the UNet, with Muon's iteration in bfloat16 and in float32.

    python tests/benchmarks/muon.py [--repeats 3] [--batch 16] [--side 24]

Both formats are forced in turn, in one run, on the same batch. Times are processor seconds of this
process over its threads, so that other programs on the computer disturb them little. The network
and its loss are those of sdkit.recipes.unet at their full size, in the number format that the
accelerator chooses. To see a processor without bfloat16, forbid the newer instructions to oneDNN;
the accelerator does not notice that, so tell it as well:

    DNNL_MAX_CPU_ISA=AVX2 python tests/benchmarks/muon.py --network no
"""

import argparse
import os
import statistics
import time
from types import SimpleNamespace

import torch
from diffusers.models.attention_processor import AttnProcessor
from transformers import CLIPTextConfig, CLIPTextModel

from sdkit.models import hardware
from sdkit.recipes import muon, text, training, unet


def denoiser(settings):
    """An untrained denoiser of the shipped size."""
    torch.manual_seed(0)
    encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=946,
            hidden_size=160,
            intermediate_size=640,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=text.LENGTH,
            eos_token_id=1,
        )
    )
    vae = SimpleNamespace(config=SimpleNamespace(latent_channels=8))
    network = unet.new_unet(settings, vae, encoder).to(memory_format=torch.channels_last)
    network.set_attn_processor(AttnProcessor())
    return unet.Denoiser(network, encoder)


def batch_of(count, side):
    """A batch of noise with captions of noise."""
    noisy, noise = (torch.randn(count, 8, side, side) for _ in range(2))
    return unet.Batch(
        noisy.to(memory_format=torch.channels_last),
        noise,
        torch.randint(1000, (count,)),
        torch.randint(2, 900, (count, text.LENGTH)),
        torch.full((count, 5), unet.UNSAID),
    )


def now():
    """Processor seconds of this process, divided by its threads."""
    return time.process_time() / torch.get_num_threads()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16, help="pictures in a batch")
    parser.add_argument("--side", type=int, default=24, help="side in latent pixels")
    parser.add_argument("--network", choices=("bf16", "no"), help="number format of the network")
    args = parser.parse_args()
    settings, accelerator = unet.Settings(), training.accelerator(args.network)
    model = denoiser(settings)
    optimizer = unet.new_optimizer(settings, model)
    model, optimizer = accelerator.prepare(model, optimizer)
    batch, scheduler = batch_of(args.batch, args.side), unet.scheduler()
    native = hardware.bf16_is_native()
    print(
        f"bfloat16 native: {native}; instructions allowed to oneDNN: "
        f"{os.environ.get('DNNL_MAX_CPU_ISA', 'all')}; network in {accelerator.mixed_precision}; "
        f"{torch.get_num_threads()} threads; {len(muon.split(model.unet)[0])} matrices",
        flush=True,
    )
    seconds = {"bf16": {"all": [], "optimizer": []}, "float32": {"all": [], "optimizer": []}}
    for repeat in range(args.repeats + 1):  # the first one warms up
        for name in seconds:
            hardware.bf16_is_native = lambda device="cpu", name=name: name == "bf16"
            start = now()
            value, _ = unet.loss(settings, model, batch, scheduler)
            accelerator.backward(value)
            before = now()
            optimizer.step()
            optimizer.zero_grad()
            end = now()
            print(
                f"{repeat}, {name}: {end - start:.2f} s, optimizer {end - before:.2f} s", flush=True
            )
            if repeat:
                seconds[name]["all"].append(end - start)
                seconds[name]["optimizer"].append(end - before)
    medians = {
        name: {part: statistics.median(some) for part, some in parts.items()}
        for name, parts in seconds.items()
    }
    for name, parts in medians.items():
        print(
            f"Muon in {name:8} {args.batch / parts['all']:6.2f} samples/s   "
            f"a step {parts['all']:6.2f} s, of which the optimizer {parts['optimizer']:6.2f} s"
        )
    ratio = medians["bf16"]["all"] / medians["float32"]["all"]
    print(f"float32 takes {1 / ratio:.2f} of the time of bf16 for a whole step")


if __name__ == "__main__":
    main()
