-- Snowflake reads the archive by a role of the AWS account: no key stands in any SQL. Run as ACCOUNTADMIN.
-- Replace 123456789012, the role's name and the bucket (docs/snowflake.md).
USE ROLE ACCOUNTADMIN;
CREATE STORAGE INTEGRATION IF NOT EXISTS MILEPOST_S3
  TYPE = EXTERNAL_STAGE
  STORAGE_PROVIDER = 'S3'
  ENABLED = TRUE
  STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::123456789012:role/milepost-snowflake'
  STORAGE_ALLOWED_LOCATIONS = ('s3://milepost-123456789012/archive/');
GRANT USAGE ON INTEGRATION MILEPOST_S3 TO ROLE MILEPOST_LOADER;

-- The role's trust names STORAGE_AWS_IAM_USER_ARN, and STORAGE_AWS_EXTERNAL_ID as sts:ExternalId.
DESCRIBE INTEGRATION MILEPOST_S3;
