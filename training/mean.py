"""The mean of models, weight by weight, of which each went on from the one before.

    python3 -m training.mean DIRECTORY DIRECTORY... --out DIRECTORY

Such a mean is often better than each of them ("model soups", Wortsman et al. 2022).
"""

import argparse

import torch

from . import checkpoint


def mean_of(models):
    """The first of the models, with the mean of the weights of all."""
    first = models[0]
    states = [model.state_dict() for model in models]
    for other, state in zip(models[1:], states[1:]):
        if other.config != first.config:
            raise SystemExit("the models differ in config.json, expected one shape for all")
        assert state.keys() == states[0].keys()
    first.load_state_dict({name: torch.stack([s[name].float() for s in states]).mean(0).to(value.dtype)
                           for name, value in states[0].items()})
    return first


def main():
    parser = argparse.ArgumentParser(prog="training.mean", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="DIRECTORY")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    checkpoint.check_out(args.out, args.models[0])
    first, tokenizer, preprocessor = checkpoint.load(args.models[0])
    model = mean_of([first] + [checkpoint.load_model(directory) for directory in args.models[1:]])
    checkpoint.save(args.out, model, tokenizer, preprocessor, args.models[0])
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
