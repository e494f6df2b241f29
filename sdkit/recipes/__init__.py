"""How the shipped networks are trained; ``python -m sdkit.recipes --art DIR`` trains all of them.

Each network has a file of its own, and ``python -m sdkit.recipes.NAME --help`` lists its settings:

    classifier  tells styles of painting apart        reader    reads postcards
    text        tokenizer and CLIP                    vae       pictures to latents and back
    decoder     the VAE's decoder, for texture        unet      the denoiser
    guidance    guidance within the denoiser          painter   brush strokes within the denoiser
    upscaler    the x4 upscaler and its regressor     controlnet  draws along edges

Such a file has the same parts in the same order, and a new one should have them, too:

    Settings                        a dataclass; the comment above a field is its help
    Batch                           a named tuple with the shape of each tensor
    make_batch(settings, data, rng) one batch; everything random comes from rng
    loss(settings, model, batch)    (loss, figures to log)
    measure(settings, ...)          figures on held-out pictures
    main(settings)                  builds the networks, trains, measures, saves, writes the record

They share `settings` (the command line), `training` (the loop, exact resume, the record) and `muon`
(the optimizer). `captions`, `cards`, `pairs`, `redraws` and `strokes` make training data.
`perceptual` has the losses by features of VGG. `chain` puts all trainings in order.
"""
