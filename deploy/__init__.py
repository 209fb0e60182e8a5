"""Milepost's deployment to AWS: the template and what makes it whole, bundles, and AWS on one machine for trials.

- `template.yaml`, `render.py`, `watch.py`: the SAM template, completed from its other sources; alarms and dashboard.
- `package.py`: `make package`: the functions' bundle and the template, ready for `sam deploy`.
- `stack.py`: deploys to whatever CloudFormation boto3 reaches; `local.py`: a ministack of our own.
"""
