"""Exports small PyTorch modules with torch.onnx.export.

    pip install torch onnx
    python3 tests/models/torch_models.py

Writes <name>.onnx and torch.json beside this file. The JSON holds whole input tensors for each model
and PyTorch's own outputs for them.
"""
from pathlib import Path

import torch
from torch import nn

from answers import write

HERE = Path(__file__).parent


class TextEncoder(nn.Module):
    """Mean of the token embeddings that the mask keeps, as sentence encoders pool them."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 4)
        self.dense = nn.Linear(4, 3)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask.unsqueeze(-1).float()
        pooled = (self.embedding(input_ids) * mask).sum(1) / mask.sum(1).clamp(min=1)
        return torch.tanh(self.dense(pooled))


class RowGru(nn.GRU):
    """The state has the batch first, as the rows do."""

    def forward(self, x, state):
        y, state = super().forward(x, state.transpose(0, 1).contiguous())
        return y, state.transpose(0, 1)


def gru(kind=nn.GRU):
    return kind(input_size=2, hidden_size=3, batch_first=True)


def mlp():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(dim=1))


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(4, 2))


torch.manual_seed(0)
BATCH = {0: "batch"}
TOKENS = {0: "batch", 1: "sequence"}

# name: module, inputs by name, names of the outputs, dynamic axes
MODELS = {
    "mlp-dynamic": (
        mlp, {"x": torch.randn(3, 4)}, ["probabilities"], {"x": BATCH, "probabilities": BATCH}),
    "cnn-fixed": (cnn, {"image": torch.randn(1, 3, 8, 8)}, ["logits"], {}),
    "text-encoder": (
        TextEncoder,
        {
            "input_ids": torch.tensor([[1, 5, 19, 0], [7, 2, 0, 0]]),
            "attention_mask": torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]]),
        },
        ["embedding"],
        {"input_ids": TOKENS, "attention_mask": TOKENS, "embedding": BATCH}),
    # PyTorch's own layout: [layers, batch, hidden].
    "gru-state": (
        gru,
        {"x": torch.randn(2, 5, 2), "state": torch.randn(1, 2, 3)},
        ["y", "state_out"],
        {"x": TOKENS, "state": {1: "batch"}, "y": TOKENS, "state_out": {1: "batch"}}),
    "gru-rows": (
        lambda: gru(RowGru),
        {"x": torch.randn(2, 5, 2), "state": torch.randn(2, 1, 3)},
        ["y", "state_out"],
        {"x": TOKENS, "state": BATCH, "y": TOKENS, "state_out": BATCH}),
}


def export(name, make, inputs, output_names, dynamic_axes):
    """Saves one model; returns its entry in torch.json."""
    torch.manual_seed(0)
    module = make().eval()
    values = tuple(inputs.values())
    torch.onnx.export(
        module, values, str(HERE / f"{name}.onnx"), input_names=list(inputs),
        output_names=output_names, dynamic_axes=dynamic_axes, opset_version=14)
    with torch.no_grad():
        outputs = module(*values)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return {"inputs": inputs, "outputs": dict(zip(output_names, outputs))}


if __name__ == "__main__":
    answers = {name: export(name, *case) for name, case in MODELS.items()}
    write(HERE / "torch.json", answers)
