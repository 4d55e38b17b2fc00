"""PyTorch by torch.onnx.export, the dynamo exporter unless it says otherwise. Run by exporters.ts."""
import numpy as np
import onnx
import torch
from torch import nn
from transformers import BertConfig, BertModel

from answers import HERE, rows_of, save

BATCH = {0: "batch"}
TOKENS = {0: "batch", 1: "sequence"}


def mlp(hidden=8):
    return nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 3), nn.Softmax(dim=1))


class Heads(nn.Module):
    """Gives a dictionary, as many training codes do."""

    def __init__(self):
        super().__init__()
        self.body, self.label, self.size = nn.Linear(4, 6), nn.Linear(6, 3), nn.Linear(6, 1)

    def forward(self, x):
        hidden = torch.tanh(self.body(x))
        return {"label": self.label(hidden).argmax(1), "size": self.size(hidden)}


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide, self.deep = nn.Linear(3, 2), nn.Linear(5, 2)

    def forward(self, wide, deep):
        return torch.sigmoid(self.wide(wide) + self.deep(deep))


class Sequence(nn.Module):
    """A class for a sequence of any length."""

    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(2, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class TimeFirst(nn.Module):
    """Takes the batch first and gives it second, as nn.RNN does by default."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(2, 3)

    def forward(self, x):
        return self.rnn(x.transpose(0, 1))[0]


class Voice(nn.Module):
    """A detector of speech with its state, laid out as nn.LSTM does: [2,batch,hidden]."""

    def __init__(self):
        super().__init__()
        self.frames = nn.Conv1d(1, 4, 16, stride=8)
        self.lstm = nn.LSTM(4, 8, batch_first=True)
        self.head = nn.Linear(8, 1)

    def forward(self, input, state, sr):
        scaled = input * torch.where(sr == 16000, 1.0, 0.5)
        padded = nn.functional.pad(scaled.unsqueeze(1), (8, 8), mode="reflect")
        frames = torch.relu(self.frames(padded)).transpose(1, 2)
        y, (h, c) = self.lstm(frames, (state[:1], state[1:]))
        return torch.sigmoid(self.head(y[:, -1])), torch.cat([h, c])


class Squeezed(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(4, 1)

    def forward(self, x):
        return self.dense(x).squeeze()


class Photo(nn.Module):
    """Takes photos as they are, and resizes and scales them itself."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))

    def forward(self, image):
        image = image.permute(0, 3, 1, 2).float() / 255
        return self.net(nn.functional.interpolate(image, size=(16, 16), mode="bilinear"))


class Bert(nn.Module):
    """The hidden states and the pooled one, under their names."""

    def __init__(self):
        super().__init__()
        self.bert = BertModel(BertConfig(
            vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
            max_position_embeddings=24))

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.bert(input_ids, attention_mask, token_type_ids)


def bert_rows(rows, length):
    ids = torch.randint(1, 50, (rows, length))
    return {"input_ids": ids, "attention_mask": (torch.arange(length) < length - torch.arange(rows)[:, None] % 3).long(),
            "token_type_ids": torch.zeros_like(ids)}


def export(name, make, example, asked, outputs, each=False, batch_axis=0, **options):
    """
    Exports a module by an example, and saves its answers to other rows: those of one run, or `each` of a list by itself.
    Weights stay in the file, unless the options say otherwise.
    """
    torch.manual_seed(1)
    module = make().eval()
    path = HERE / f"{name}.onnx"
    torch.onnx.export(
        module, tuple(example.values()), str(path), input_names=list(example), output_names=outputs,
        **{"external_data": False, "verbose": False, **options})
    without_traces(path)
    with torch.no_grad():
        answers = [parts(module(*run.values())) for run in (asked if each else [asked])]
    if each:
        rows = [{key: value.numpy() for key, value in run.items()} for run in asked]
    else:
        rows = rows_of({key: value.numpy() for key, value in asked.items()})
    save(name, rows, {
        output: [answer[i] for answer in answers] if each else np.moveaxis(answers[0][i], batch_axis, 0)
        for i, output in enumerate(outputs)})


def without_traces(path):
    """Takes out the stack traces of each node, which make a file three times as large and name folders of this machine."""
    model = onnx.load(path, load_external_data=False)
    for node in [*model.graph.node, *(node for function in model.functions for node in function.node)]:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        del value.metadata_props[:]
    onnx.save(model, path)


def parts(answer):
    """The arrays of a tensor, a tuple or a dictionary."""
    if isinstance(answer, torch.Tensor):
        answer = (answer,)
    elif hasattr(answer, "values"):
        answer = answer.values()
    return [part.numpy() for part in answer]


def rows(count, *shape):
    return torch.randn(count, *shape)


torch.manual_seed(0)
x = {"x": rows(2, 4)}
asked = {"x": rows(12, 4)}
open_batch = {"dynamic_shapes": (BATCH,)}
export("one-row", mlp, {"x": rows(1, 4)}, [{"x": rows(1, 4)} for _ in range(8)], ["y"], each=True)
export("two-rows", mlp, x, [{"x": rows(2, 4)} for _ in range(8)], ["y"], each=True)
export("dynamic-shapes", mlp, x, asked, ["y"], **open_batch)
# Weights of less than a kilobyte stay in the file even so.
export("external-data", lambda: mlp(64), x, asked, ["y"], external_data=True, **open_batch)
export("torchscript", mlp, x, asked, ["y"], dynamo=False, dynamic_axes={"x": BATCH, "y": BATCH})
export("dictionary", Heads, x, asked, ["label", "size"], **open_batch)
export("squeezed", Squeezed, x, asked, ["y"], **open_batch)

pair = {"wide": rows(2, 3), "deep": rows(2, 5)}
many = {"wide": rows(12, 3), "deep": rows(12, 5)}
auto = {0: torch.export.Dim.DYNAMIC}
export("two-inputs", TwoInputs, pair, many, ["y"], dynamic_shapes=(BATCH, BATCH))
export("two-inputs-dynamic", TwoInputs, pair, many, ["y"], dynamic_shapes=(auto, auto))
export("two-inputs-axes", TwoInputs, pair, many, ["y"], dynamo=False, dynamic_axes={name: [0] for name in [*pair, "y"]})

series, others = {"x": rows(2, 5, 2)}, {"x": rows(8, 7, 2)}
export("lstm", Sequence, series, others, ["y"], dynamic_shapes=(TOKENS,))
export("time-first", TimeFirst, series, others, ["y"], batch_axis=1, dynamo=False, dynamic_axes={"x": TOKENS, "y": BATCH})

clips, photos = (torch.randint(0, 256, (n, 24, 20, 3), dtype=torch.uint8) for n in (2, 3))
export("photo", Photo, {"image": clips}, {"image": photos}, ["y"],
       dynamic_shapes=({0: "batch", 1: "height", 2: "width"},))


def speech(count):
    return {"input": rows(count, 64), "state": rows(2, count, 8), "sr": torch.tensor(16000)}


export("voice", Voice, speech(2), [speech(1), speech(3)], ["output", "stateN"], each=True, dynamo=False,
       dynamic_axes={"input": {0: "batch", 1: "length"}, "state": {1: "batch"}, "stateN": {1: "batch"}})
export("bert", Bert, bert_rows(2, 6), bert_rows(6, 9), ["last_hidden_state", "pooler_output"],
       dynamic_shapes=(TOKENS, TOKENS, TOKENS))
export("bert-torchscript", Bert, bert_rows(2, 6), bert_rows(6, 9), ["last_hidden_state", "pooler_output"],
       dynamo=False, dynamic_axes={name: TOKENS for name in bert_rows(1, 1)} | {"pooler_output": BATCH, "last_hidden_state": TOKENS})
