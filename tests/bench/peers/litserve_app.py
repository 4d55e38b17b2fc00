import os

import joblib
import litserve


class FlowerAPI(litserve.LitAPI):
    def setup(self, device):
        self.model = joblib.load(os.environ["MODEL"])

    def decode_request(self, request):
        return [
            request["sepal_length"],
            request["sepal_width"],
            request["petal_length"],
            request["petal_width"],
        ]

    def predict(self, features):
        return self.model.predict([features])[0]

    def encode_response(self, prediction):
        return {"prediction": str(prediction)}


if __name__ == "__main__":
    server = litserve.LitServer(FlowerAPI(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )
