import os

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["ONNX_MODEL"], options)


class Flower(BaseModel):
    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float


@app.post("/predict")
async def predict(flower: Flower):
    feeds = {
        name: np.array([[value]], dtype=np.float32)
        for name, value in flower.model_dump().items()
    }
    return {"prediction": session.run(["prediction"], feeds)[0][0]}
