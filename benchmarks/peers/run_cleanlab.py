"""cleanlab on vectors and labels, as its documentation has it first: `python -m benchmarks.peers.run_cleanlab IN.npz OUT.npz HOW`.

HOW: "datalab" (Datalab.find_issues on features: nearest neighbours), "tutorial" (Datalab on probabilities of scikit-learn's logistic
regression in five folds, as its tutorials do), "learning" (CleanLearning with its default model), "probabilities"
(label quality of probabilities that were computed elsewhere, which tells the ranking from the model).
"""

import json
import sys
import time

import numpy as np


def main() -> None:
    source, out, how = sys.argv[1:4]
    data = np.load(source)
    vectors, labels = data["vectors"], data["labels"]
    if how == "datalab":
        from cleanlab import Datalab

        start = time.perf_counter(), time.process_time()
        lab = Datalab({"X": vectors, "y": labels.tolist()}, label_name="y", verbosity=0)
        lab.find_issues(features=vectors, issue_types={"label": {}})
        quality = lab.get_issues("label")["label_score"].to_numpy()
    elif how == "tutorial":
        from cleanlab import Datalab
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import cross_val_predict

        start = time.perf_counter(), time.process_time()
        probabilities = cross_val_predict(
            LogisticRegression(max_iter=400), vectors, labels, cv=5, method="predict_proba"
        )
        lab = Datalab({"y": labels.tolist()}, label_name="y", verbosity=0)
        lab.find_issues(pred_probs=probabilities, issue_types={"label": {}})
        quality = lab.get_issues("label")["label_score"].to_numpy()
    elif how == "learning":
        from cleanlab.classification import CleanLearning

        start = time.perf_counter(), time.process_time()
        quality = CleanLearning(seed=0).find_label_issues(vectors, labels)["label_quality"].to_numpy()
    else:
        from cleanlab.rank import get_label_quality_scores

        start = time.perf_counter(), time.process_time()
        quality = get_label_quality_scores(labels, data["probabilities"])
    took = time.perf_counter() - start[0], time.process_time() - start[1]
    np.savez(out, quality=quality)
    print(json.dumps({"wall": took[0], "cpu": took[1]}))


if __name__ == "__main__":
    main()
