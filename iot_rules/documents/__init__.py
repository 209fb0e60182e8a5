"""The rule documents: one JSON file a rule, deployed to AWS IoT and run in the box as they are.

Each file is the input of CreateTopicRule: `{"ruleName", "topicRulePayload": {"sql", "awsIotSqlVersion", "actions",
"errorAction", …}}`. What belongs to an account stands as `<NAME>` and is filled at deployment (deploy.py); the angle
brackets clash neither with substitution templates (`${…}`) nor with CloudFormation (`${…}` in Fn::Sub, `{{…}}`):

    <MILEPOST_RULES_ROLE_ARN>        the role that AWS IoT assumes: kinesis:PutRecord on the stream, s3:PutObject on
                                     the bucket, iot:Publish on fleet/*/time
    <MILEPOST_RULE_ERRORS_BUCKET>    where error actions put the messages that could not be delivered

The stream's name, milepost-telemetry, is literal. Locally the placeholders are left as they are.
"""
