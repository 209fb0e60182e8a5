"""Milepost's deployment to AWS: the template and what makes it whole, bundles, and AWS on one machine for trials.

- `template.yaml`, `render.py`, `watch.py`: the SAM template, completed from its other sources; alarms and dashboard.
- `package.py`: `make package`: the functions' bundle and the template, ready for `sam deploy`.
- `local.py`: a ministack of our own, and the template deployed to it.
- `trial.py`, `carrier.py`, `door.py`: `milepost up --aws`: that, what stands for IoT Core, and the beacon's address.
"""
