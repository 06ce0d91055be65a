"""Loss surfaces from Python: a network and data in, labelled data out. Every verb of the command line calls one of these.

    import landscape as ls

    surface = ls.plane(network, data, alpha=(-1, 1, 51), beta=(-1, 1, 51), seed=1)
    ls.draw.contours(surface)

A `network` is any `torch.nn.Module`; it is neither trained nor altered. `data` is a pair (inputs, targets), a torch `Dataset`
or `DataLoader` of such pairs, or what `dataset` makes; a `test` split in the same forms may stand beside it. Weights are a
module, a state dict, or a file of one. Further keywords are the keys of the configuration, with its names and defaults
(docs/keys.md). No call needs a folder, a configuration, or a setting; the same call gives the bits that the workflow writes.
"""
